"""Results in the store: places, journal, commits, failures, collecting and the index."""
