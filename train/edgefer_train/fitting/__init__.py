"""Fitting: what a step sees, how it learns, how it goes on after a kill."""
