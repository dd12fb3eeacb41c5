"""Graders turn committed answers into metrics and per-item outcomes, apart from the model that gave them."""
