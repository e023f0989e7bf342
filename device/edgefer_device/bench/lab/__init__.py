"""Laboratory measurements, under `edgefer dev`."""
