"""How the published code names and configures its models: one module per method, data only."""
