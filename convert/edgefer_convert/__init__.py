"""Conversion: int8 TFLite and ONNX files, the gate between them and the float model, the bundle."""

# tfmot's models load in tf-keras only: this sets the switch before TensorFlow is imported.
import edgefer_train as _  # noqa: F401
