"""Reading clips: decoding, frame sampling and transforms."""
