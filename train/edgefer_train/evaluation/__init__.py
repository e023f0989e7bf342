"""Evaluation on PrivateTest, reports and comparisons."""
