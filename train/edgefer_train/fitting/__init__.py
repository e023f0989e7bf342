"""Fitting: batches, augmentation, compilation, callbacks, replicas and resuming."""
