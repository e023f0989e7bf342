"""Facial-expression models from a dataset to a device: what every stage shares."""

__version__ = "0.1.0"
