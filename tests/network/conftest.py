"""Fixtures of the readers' tests."""

import importlib.util
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

# What needs torch is a part of the suite only where torch is; the goldens made with it are tested everywhere.
collect_ignore = [] if importlib.util.find_spec("torch") else ["test_torch_live.py"]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small matrices gain nothing from BLAS threads and lose much on a busy machine."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def tflite_maker():
    """The module that writes small TFLite files."""
    pytest.importorskip("tflite")
    spec = importlib.util.spec_from_file_location("tflite_maker", Path(__file__).with_name("tflite_maker.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
