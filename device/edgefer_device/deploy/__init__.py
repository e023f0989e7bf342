"""Bringing a model to devices and phones."""
