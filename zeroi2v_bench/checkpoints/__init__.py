"""Models in files: saved ones, published ones, and exports."""
