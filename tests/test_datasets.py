"""Embedded data: the right bytes, and damaged files refused."""

import gzip
import hashlib

import numpy as np
import pytest

from neuroemu import datasets, run_float
from neuroemu.errors import FileFormatError, InputError, NeuroemuError


def test_test_images_are_mnist():
    x, y = datasets.mnist_test()
    assert x.shape == (10_000, 1, 28, 28) and x.dtype == np.float32 and y.dtype == np.int64
    raw = b"\0\0\x08\x03" + np.array([10_000, 28, 28], ">u4").tobytes() + x.astype(np.uint8).tobytes()
    assert hashlib.md5(raw).hexdigest() == "2646ac647ad5339dbf082846283269ea"
    assert np.bincount(y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_training_images_from_a_folder(test_data):
    x, y = datasets.mnist_train(600, folder=test_data / "mnist")
    assert x.shape == (600, 1, 28, 28) and y[:5].tolist() == [5, 0, 4, 1, 9]


def test_the_networks_samples_are_training_images(test_data):
    x, _ = datasets.mnist_train(512, folder=test_data / "mnist")
    np.testing.assert_array_equal(datasets.mnist_network().samples, x)


def test_embedded_network_is_good():
    x, y = datasets.mnist_test(1000)
    assert (run_float(datasets.mnist_network(), x).argmax(axis=1) == y).mean() > 0.98


def test_a_failing_download_says_what_to_do(monkeypatch):
    import pooch

    def fail(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(NeuroemuError, match="pass folder"):
        datasets.mnist_train()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0\0\x0d\x01" + bytes(8),
        b"\0\0\x08\x01\0\0\0\x05abc",
        b"\0\0\x08\x03" + b"\xff" * 12,
        b"\0\0\x08\x01\0\0\0\x02abc",
    ],
)
def test_bad_idx_files(tmp_path, raw):
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(raw))
    with pytest.raises(FileFormatError, match=r"f\.gz"):
        datasets.read_idx(path)


def test_truncated_and_missing_idx_files(tmp_path):
    path = tmp_path / "f.gz"
    with pytest.raises(FileFormatError, match="cannot be read"):
        datasets.read_idx(path)
    path.write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x02ab")[:-9])
    with pytest.raises(FileFormatError, match="cannot be read"):
        datasets.read_idx(path)


def test_counts_are_bounded():
    with pytest.raises(InputError, match="1 to 10000"):
        datasets.mnist_test(10_001)
