"""Files that fuzz_readers.py found: each ends in a value or in one NeuroemuError of one line."""

import warnings
from pathlib import Path

import pytest

from neuroemu.errors import NeuroemuError

HERE = Path(__file__).parent
FINDS = sorted((HERE / "golden" / "fuzz").iterdir())


@pytest.fixture
def targets(monkeypatch):
    """The readers by name, as the fuzzer uses them."""
    monkeypatch.syspath_prepend(HERE)
    from fuzz_targets import TARGETS

    return TARGETS


@pytest.mark.parametrize("path", FINDS, ids=lambda path: path.name)
def test_a_find_ends_in_a_value_or_one_error(targets, path):
    name = path.name.split("-")[0]
    if name in ("onnx", "nir", "tflite", "shd"):
        pytest.importorskip({"nir": "h5py", "shd": "h5py"}.get(name, name))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numbers that overflow
            targets[name].read(path)
    except NeuroemuError as error:
        assert str(error).isprintable()
