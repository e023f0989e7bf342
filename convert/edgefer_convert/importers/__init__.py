"""Where a model to convert comes from: our own runs, Keras and ONNX files."""
