"""Training: datasets, architectures, fitting, quantization-aware training, evaluation.

tfmot accepts tf-keras models only, so the switch must be set before TensorFlow
is first imported; importing this package does it.
"""

import logging
import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
# TensorFlow's messages below an error concern itself, not the user's work.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
logging.getLogger("tensorflow").setLevel(logging.ERROR)
