"""The files that a conversion writes."""
