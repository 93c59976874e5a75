"""Tables, charts and tests made from the records alone; never torch."""
