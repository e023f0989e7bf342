"""Training: datasets, architectures, fitting, quantization-aware training, evaluation.

tfmot accepts tf-keras models only, so the switch must be set before TensorFlow
is first imported; importing this package does it.
"""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
