"""From a protocol to batches: splits, the index of a dataset, cached reading, loading."""
