"""Evaluates every checkpoint of a training run and publishes how each ability grew."""
