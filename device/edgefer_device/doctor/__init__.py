"""`edgefer doctor`: what keeps the daemon from running here, and what to do about it."""
