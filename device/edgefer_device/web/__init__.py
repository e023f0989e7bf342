"""Serving HTTP: listening, access, the token."""
