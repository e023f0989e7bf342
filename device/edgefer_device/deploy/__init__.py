"""From a laptop to a device over SSH, and safely back."""
