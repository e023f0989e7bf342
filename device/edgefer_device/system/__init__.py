"""What the machine and its system offer: temperature, firmware, paths, threads."""
