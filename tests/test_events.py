"""Event files: bytes packed by the published layout, 40 bits an event; spike trains of them."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neuroemu import datasets, run_spiking
from neuroemu.errors import ArgumentTypeError, FileFormatError, InputError
from neuroemu.network import load


def packed(*events):
    """Bits 39-32 column, 31-24 row, 23 polarity, 22-0 microseconds."""
    return b"".join((x << 32 | y << 24 | p << 23 | t).to_bytes(5, "big") for x, y, p, t in events)


def read(tmp_path, content):
    path = tmp_path / "00001.bin"
    path.write_bytes(content)
    return datasets.read_nmnist(path)


def test_fields_of_events(tmp_path):
    listed = [(33, 0, 1, 0), (0, 33, 0, 70_000), (5, 6, 1, (1 << 23) - 1), (255, 255, 0, 257)]
    found = read(tmp_path, packed(*listed))
    assert list(zip(found.x, found.y, found.polarity, found.microseconds, strict=True)) == listed


def test_a_row_of_240_is_an_overflow_of_the_clock(tmp_path):
    found = read(tmp_path, packed((1, 1, 0, 5), (9, 240, 1, 7), (2, 2, 1, 6), (0, 240, 0, 0), (3, 3, 1, 6)))
    np.testing.assert_array_equal(found.x, [1, 2, 3])
    np.testing.assert_array_equal(found.microseconds, [5, 6 + 8192, 6 + 16384])


def test_steps_of_a_train(tmp_path):
    found = read(tmp_path, packed((3, 1, 1, 299), (3, 1, 1, 0), (0, 2, 0, 300), (1, 1, 1, 899), (2, 2, 0, 900)))
    train = found.to_steps(dt=3e-4, steps=3, shape=(2, 4, 5))
    np.testing.assert_array_equal(np.argwhere(train), [[0, 1, 1, 3], [1, 0, 2, 0], [2, 1, 1, 1]])
    both = found.to_steps(dt=3e-4, steps=3, shape=(1, 4, 5))
    np.testing.assert_array_equal(both[:, 0], train.any(axis=1))


@example(1015, 1)
@given(st.integers(1, 5000), st.integers(1, 50))
def test_an_event_on_a_border_belongs_to_the_step_that_begins(period, border):
    zeros = np.zeros(2, np.int64)
    events = datasets.Events(zeros, zeros, zeros, np.array([period * border - 1, period * border]))
    train = events.to_steps(dt=period * 1e-6, steps=60, shape=(1, 1, 1))
    np.testing.assert_array_equal(np.flatnonzero(train), [border - 1, border])


def test_no_events(tmp_path):
    assert not read(tmp_path, b"").to_steps(dt=1e-3, steps=2).any()


def test_trains_enter_the_nmnist_network(test_data, tmp_path):
    pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    events = [(*map(int, rng.integers(0, 34, 2)), int(rng.integers(2)), t) for t in range(0, 20_000, 4)]
    train = read(tmp_path, packed(*events)).to_steps(dt=1e-3, steps=20)
    network = load(test_data / "nir" / "models" / "cnn_sinabs.nir")
    assert run_spiking(network, train[:, None], dt=1.0).shape == (20, 1, 10)


@pytest.mark.parametrize(
    "arguments, says",
    [
        ({"shape": (2, 4, 3)}, "events reach column 3 and row 1"),
        ({"shape": (3, 4, 4)}, "1 or 2 polarities"),
        ({"shape": (2, 4)}, "give (polarities, height, width)"),
        ({"dt": 0.0}, "dt is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 1 << 20, "shape": (2, 999, 999)}, "values at most"),
    ],
)
def test_bad_arguments(tmp_path, arguments, says):
    events = read(tmp_path, packed((3, 1, 1, 5)))
    with pytest.raises(InputError) as error:
        events.to_steps(**({"dt": 1e-3, "steps": 2} | arguments))
    assert says in str(error.value)


def test_bad_files(tmp_path):
    with pytest.raises(FileFormatError, match="6 bytes"):
        read(tmp_path, b"abcdef")
    with pytest.raises(FileFormatError, match="No such file"):
        datasets.read_nmnist(tmp_path / "none.bin")
    with pytest.raises(FileFormatError, match=r"cannot be read|bytes"):
        datasets.read_nmnist(tmp_path)
    with pytest.raises(ArgumentTypeError):
        datasets.read_nmnist(3)
