"""Shares of moods, minute by minute; no picture and no identity."""
