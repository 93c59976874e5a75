"""Shared fixtures."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Folder with recorded outputs of official code, real lists and clips; not part of the project."""
    root = os.environ.get("ZEROI2V_BENCH_REFERENCE_DATA")
    if not root:
        pytest.skip("ZEROI2V_BENCH_REFERENCE_DATA is not set")
    return Path(root)
