"""Who may do what: sign-in, roles, second persons, and the record of who read what about whom."""
