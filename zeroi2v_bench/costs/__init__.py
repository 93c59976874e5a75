"""What a model costs: counted, and timed side by side."""
