"""Sweeps: the rows are those of run, and an interrupted sweep goes on where it stopped."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu import Sweep, ageing, chips, datasets, plot, quantize, refresh_time, run, sweep
from neuroemu.chips import HERMES
from neuroemu.crossbar import Adc, ColumnAffine, NoCompensation
from neuroemu.errors import ArgumentTypeError, FileFormatError, InputError


@pytest.fixture(scope="module")
def network():
    net = datasets.mnist_network()
    return quantize(net, samples=net.samples)


@pytest.fixture(scope="module")
def images():
    return datasets.mnist_test(40)


def by_bits(network, calls=None):
    def make(bits):
        if calls is not None:
            calls.append(bits)
        return network, replace(chips.HERMES, adc=Adc(bits=bits))

    return make


def test_rows_are_those_of_run(network, images):
    x, y = images
    found = sweep(by_bits(network), [3, 8], x, labels=y, name="ADC bits", trials=2)
    alone = run(network, replace(chips.HERMES, adc=Adc(bits=3)), x, labels=y, trials=2)
    assert found.rows[0] == {"ADC bits": 3, **alone.row()}
    assert found.values == (3, 8)
    assert found.column("accuracy")[1] > found.column("accuracy")[0]
    assert "ADC bits" in repr(found) and found.to_csv().splitlines()[0].startswith("ADC bits,network,chip,accuracy")


def test_an_interrupted_sweep_goes_on(network, images, tmp_path):
    x, y = images
    store = tmp_path / "bits.csv"
    make, ran = by_bits(network), []

    def stop_at_eight(bits):
        if bits == 8:
            raise KeyboardInterrupt
        return make(bits)

    with pytest.raises(KeyboardInterrupt):
        sweep(stop_at_eight, [3, 5, 8], x, labels=y, name="bits", store=store)
    assert len(store.read_text().splitlines()) == 3
    found = sweep(make, [3, 5, 8], x, labels=y, name="bits", store=store, progress=lambda *call: ran.append(call))
    assert ran and {total for _, _, total in ran} == {40} and ran[-1][1] == 40
    assert sum(done == total for _, done, total in ran) == 1  # only the value that was missing ran
    np.testing.assert_array_equal(found.column("accuracy"), sweep(make, [3, 5, 8], x, labels=y).column("accuracy"))


@pytest.mark.parametrize("change", [{"seed": 1}, {"trials": 2}, {"x": slice(0, 30)}])
def test_rows_of_another_run_are_made_again(network, images, tmp_path, change):
    x, y = images
    store, ran = tmp_path / "bits.csv", []
    sweep(by_bits(network), [5], x, labels=y, name="bits", store=store)
    part = change.pop("x", slice(None))
    sweep(
        by_bits(network),
        [5],
        x[part],
        labels=y[part],
        name="bits",
        store=store,
        progress=lambda *c: ran.append(c),
        **change,
    )
    assert ran


def test_sweeps_are_drawn(network, images, tmp_path):
    x, y = images
    found = sweep(by_bits(network), [3, 5, 8], x, labels=y, name="ADC bits", trials=2)
    figure = plot.sweep({"HERMES": found, "again": found})
    (axes,) = figure.axes
    assert axes.get_xlabel() == "ADC bits" and len(axes.get_lines()) >= 2
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), 100 * found.column("accuracy"))
    plot.save(figure, tmp_path / "sweep.png")


def test_bad_arguments(network, images, tmp_path):
    x, _ = images
    with pytest.raises(InputError, match="at least one, each once"):
        sweep(by_bits(network), [], x)
    with pytest.raises(InputError, match="each once"):
        sweep(by_bits(network), [3, 3], x)
    with pytest.raises(ArgumentTypeError, match=r"must return \(network, chip\)"):
        sweep(lambda v: chips.HERMES, [3], x)
    with pytest.raises(ArgumentTypeError, match="function of a value"):
        sweep(None, [3], x)
    with pytest.raises(InputError, match="no column 'speed'"):
        sweep(by_bits(network), [8], x[:2]).column("speed")
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(FileFormatError, match="not the store of a sweep over 'bits'"):
        sweep(by_bits(network), [8], x, name="bits", store=other)
    other.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileFormatError, match="not a CSV file"):
        sweep(by_bits(network), [8], x, name="bits", store=other)
    with pytest.raises(InputError, match="lies in no folder"):
        sweep(by_bits(network), [8], x, store=tmp_path / "nowhere" / "a.csv")
    with pytest.raises(InputError, match="has no accuracy"):
        plot.sweep({"a": sweep(by_bits(network), [8], x[:2])})


def aged(*pairs):
    return Sweep("seconds", tuple({"seconds": t, "accuracy": a} for t, a in pairs))


def test_a_chip_is_written_anew_before_it_fails():
    """The last age before the first failure, whatever comes after it and in whatever order the ages stand."""
    found = aged((1.0, 0.98), (3600.0, 0.95), (60.0, 0.97), (1e6, 0.80), (1e7, 0.96))
    assert refresh_time(found, minimum_accuracy=0.95) == 3600.0
    assert refresh_time(found, minimum_accuracy=0.96) == 60.0
    assert refresh_time(found, minimum_accuracy=0.5) == 1e7
    with pytest.raises(InputError, match="not reached 1 s after"):
        refresh_time(found, minimum_accuracy=0.99)
    with pytest.raises(InputError, match="over 'bits'"):
        refresh_time(Sweep("bits", ({"bits": 8, "accuracy": 1.0},)), minimum_accuracy=0.5)


def test_ageing_runs_the_same_chips_at_every_time(network, images, tmp_path):
    x, y = images
    rules = {"none": NoCompensation(), "affine": ColumnAffine()}
    store = tmp_path / "age.csv"
    found = ageing(network, HERMES, x, labels=y, seconds=(0.0, 3600.0, 3e8), compensations=rules, trials=2, store=store)
    assert list(found) == ["none", "affine"] and found["none"].values == (0.0, 3600.0, 3e8)
    again = run(network, replace(HERMES, seconds=3e8), x, labels=y, trials=2)
    assert found["affine"].column("accuracy")[2] == again.accuracy
    assert found["affine"].column("accuracy")[2] >= found["none"].column("accuracy")[2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["age-affine.csv", "age-none.csv"]
    figure = plot.ageing({name: one for name, one in found.items()})
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1 s", "1 min", "1 h", "1 day", "1 month", "1 year"]
    with pytest.raises(InputError, match="labels"):
        ageing(network, HERMES, x, labels=None)
    with pytest.raises(ArgumentTypeError, match="Compensation"):
        ageing(network, HERMES, x, labels=y, compensations={"a": "affine"})
    with pytest.raises(InputError, match="seconds"):
        ageing(network, HERMES, x, labels=y, seconds=(-1.0,))
    with pytest.raises(InputError, match="'gain', 'gain!' would share a file of the store"):
        two = {"gain": ColumnAffine(), "gain!": NoCompensation()}
        ageing(network, HERMES, x, labels=y, compensations=two, store=tmp_path / "a.csv")


def test_stored_sweeps_are_read_back(network, images, tmp_path):
    x, y = images
    store = tmp_path / "bits.csv"
    made = sweep(by_bits(network), [4, 8], x, labels=y, name="ADC bits", store=store)
    read = Sweep.read(store)
    assert read.name == "ADC bits" and read.values == ("4", "8")
    np.testing.assert_array_equal(read.column("accuracy"), made.column("accuracy"))
    with pytest.raises(FileFormatError, match="no such file"):
        Sweep.read(tmp_path / "none.csv")
    store.write_text("a,b\n1,2\n")
    with pytest.raises(FileFormatError, match="not the store"):
        Sweep.read(store)


def test_a_sweep_is_not_named_as_a_column(network, images):
    with pytest.raises(InputError, match="name is 'seed', which is a column of every result; give another name"):
        sweep(lambda t: (network, replace(HERMES, seconds=t)), [1.0], images[0], name="seed")
