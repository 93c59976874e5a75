"""Training what a method left trainable, and coming back from faults."""
