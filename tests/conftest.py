"""Fixtures that all tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real data and networks; tests that need it are skipped without."""
    folder = os.environ.get("NEUROEMU_TEST_DATA")
    if not folder:
        pytest.skip("set NEUROEMU_TEST_DATA to the folder of real data")
    return Path(folder)
