"""The gate between a model's formats and its float form: limits, measurements, checks."""
