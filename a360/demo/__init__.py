"""The demo: a small model trained here on text of every Python, and rows written for this project."""
