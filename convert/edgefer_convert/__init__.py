"""Conversion: int8 TFLite and ONNX files, the gate between them and the float model, the bundle."""

import os

# tfmot's models load in tf-keras only; must be set before TensorFlow is first imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
