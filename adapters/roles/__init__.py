"""One role of Qist a module: everything wired together from the settings, run until it is told to stop."""
