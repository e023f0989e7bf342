"""`edgefer bench`: what a model and the pipeline around it cost on this machine."""
