"""What a loan decides, by the stage of its life. A decider reads, refuses with a phrase, or yields events in order."""
