"""The device: cameras, face detectors, tracking, mood, sinks and the daemon; never TensorFlow."""
