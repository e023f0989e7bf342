"""`mqtt:` and `mqtts:`, the mood on a broker, and all that Home Assistant is told there."""
