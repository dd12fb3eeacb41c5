"""Evaluators turn a loaded model, a protocol and data into metrics and per-item outcomes."""
