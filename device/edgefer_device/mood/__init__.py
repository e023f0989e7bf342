"""Moods of tracks and of a household."""
