"""Backbones: image models converted to `VideoViT`, one module per source library."""
