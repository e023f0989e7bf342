"""`edgefer bench`: time a model and the pipeline on this machine; `lab` holds `edgefer dev`."""
