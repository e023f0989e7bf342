"""Datasets: reading, splitting, checking."""
