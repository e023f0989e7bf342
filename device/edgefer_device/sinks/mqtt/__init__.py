"""`mqtt:` and `mqtts:`, the mood on a broker, with discovery and controls for Home Assistant."""
