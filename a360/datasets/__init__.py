"""Data sets as files with known contents, so that evaluation needs no network."""
