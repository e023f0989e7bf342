"""The verbs of the device."""
