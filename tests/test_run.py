"""run, place, Result and compare: what users hold in their hands."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroemu import chips, compare, datasets, place, plot, quantize, run, run_integer, show_versions, to_spiking
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Dense, sequential
from neuroemu.result import si, wilson


@pytest.fixture(scope="module")
def network():
    net = datasets.mnist_network()
    return quantize(net, samples=net.samples)


@pytest.fixture(scope="module")
def images():
    return datasets.mnist_test(60)


@pytest.fixture(scope="module")
def results(network, images):
    x, y = images
    snn = to_spiking(network, steps=16, samples=network.samples, reset="subtract")
    found = [
        run(network, chip, x, labels=y, trials=2)
        for chip in (chips.HERMES, chips.TPU_V1, chips.A100, chips.XEON_E5_2699V3)
    ]
    return [*found, run(snn, chips.LOIHI, x, labels=y)]


def test_digital_chips_give_the_integer_reference(network, images, results):
    reference = run_integer(network, images[0])
    for result in results[1:4]:
        np.testing.assert_array_equal(result.outputs, reference)
        assert result.accuracy == (reference.argmax(axis=1) == images[1]).mean()


def test_every_joule_is_a_count_times_a_price(results):
    for result in results:
        for line in result.energy.lines:
            assert line.joules == pytest.approx(line.quantity * line.cost.value, rel=1e-9, abs=0)
            assert line.cost.source
            if line.cost.unit == "J":
                assert line.quantity == result.counts[line.layer, line.cost.event]
        assert result.energy_per_inference * result.n_images == pytest.approx(result.energy.total)
        assert result.boundary == "chip"


def test_rows_have_stable_columns(results):
    columns = (
        "network chip accuracy accuracy_low accuracy_high chips_low chips_high energy_per_inference_J energy_low_J "
        "energy_high_J dynamic_J static_J latency_s energy_delay_Js throughput_per_s units utilisation boundary batch "
        "images trials seed version data_hash units_present busy work used_mm2 chip_mm2"
    ).split()
    for result in results:
        assert list(result.row()) == columns
        row = result.row()
        assert row["energy_low_J"] <= row["energy_per_inference_J"] * (1 + 1e-9) <= row["energy_high_J"] * (1 + 2e-9)
        assert row["energy_delay_Js"] == pytest.approx(
            row["energy_per_inference_J"] * row["latency_s"], rel=1e-9, abs=0
        )
        assert result.row()["dynamic_J"] + result.row()["static_J"] == pytest.approx(result.energy_per_inference)


def test_intervals(results):
    hermes, tpu = results[0], results[1]
    assert hermes.n_trials == 2 and hermes.chip_interval is not None
    assert tpu.n_trials == 1 and tpu.chip_interval is None
    low, high = tpu.accuracy_interval
    assert low < tpu.accuracy <= high or tpu.accuracy == 1.0


def test_wilson_interval_of_a_textbook_case():
    # 81 of 263: 0.2553 to 0.3662 (Newcombe, Stat. Med. 17, 857, 1998, Table I, method 3)
    low, high = wilson(81 / 263, 263)
    assert (low, high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))


def test_comparison_prints_and_exports(results):
    comparison = compare(results)
    text = repr(comparison)
    for result in results:
        assert result.chip_name in text
    assert "Static energy is that of the powered chip" in text
    rows = list(csv.DictReader(io.StringIO(comparison.to_csv())))
    assert [row["chip"] for row in rows] == [r.chip_name for r in results]
    assert float(rows[0]["energy_per_inference_J"]) == results[0].energy_per_inference
    told = json.loads(comparison.to_json())
    assert sum(line["joules"] for line in told[0]["energy"]) == pytest.approx(results[0].energy.total)
    assert told[0]["counts"][0].keys() == {"layer", "event", "count"}
    assert comparison._repr_html_().count("<tr>") == 1 + len(results)
    assert "inferences/s" in repr(results[0]) and "<table>" in results[0]._repr_html_()


def test_results_of_other_inputs_are_not_compared(network, images, results):
    x, y = images
    for other in (run(network, chips.TPU_V1, x[:50], labels=y[:50]), run(network, chips.TPU_V1, x)):
        with pytest.raises(InputError, match="other inputs or labels"):
            compare([results[0], other])
    with pytest.raises(ArgumentTypeError, match="at least one Result"):
        compare([])


def test_without_labels_there_is_no_accuracy(network, images):
    result = run(network, chips.TPU_V1, images[0][:3])
    assert result.accuracy is None and result.accuracy_interval is None and result.row()["accuracy"] is None
    assert "accuracy " not in repr(result)
    with pytest.raises(InputError, match="run with labels"):
        plot.energy_accuracy([result])


def test_progress_is_reported(network, images):
    seen = []
    run(network, chips.HERMES, images[0], trials=2, progress=lambda *call: seen.append(call))
    assert seen[-1][1:] == (120, 120) and "HERMES" in seen[-1][0]


def test_an_interrupt_passes_through(network, images):
    def stop(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(network, chips.HERMES, images[0], progress=stop)


@pytest.mark.parametrize(
    "change, error, says",
    [
        ({"x": np.zeros((2, 28, 28))}, InputError, r"takes \(batch, 1, 28, 28\)"),
        ({"x": np.zeros((0, 1, 28, 28))}, InputError, "no inputs"),
        ({"x": np.full((2, 1, 28, 28), np.nan)}, InputError, "NaN or infinity"),
        ({"x": "images"}, ArgumentTypeError, "array of real numbers"),
        ({"labels": [10, 0]}, InputError, "0..9"),
        ({"labels": [-1, 0]}, InputError, "0..9"),
        ({"labels": [1]}, InputError, "one label for each"),
        ({"labels": [0.5, 1.0]}, ArgumentTypeError, "integers"),
        ({"seed": -1}, InputError, "seed"),
        ({"seed": 1.5}, ArgumentTypeError, "seed"),
        ({"trials": 0}, InputError, "trials"),
        ({"threads": 0}, InputError, "threads"),
        ({"progress": "yes"}, ArgumentTypeError, "True, False or a function"),
    ],
)
def test_bad_arguments_give_one_line(network, change, error, says):
    arguments = {"x": np.zeros((2, 1, 28, 28)), "labels": None} | change
    with pytest.raises(error, match=says) as caught:
        run(network, chips.TPU_V1, arguments.pop("x"), **arguments)
    assert "\n" not in str(caught.value)


def test_place_refuses_other_objects(network):
    with pytest.raises(ArgumentTypeError, match="a Network and a Chip"):
        place(network, "HERMES")


def test_placements_print(network):
    placement = place(network, chips.HERMES)
    assert "conv2" in placement.table() and "mean utilisation" in repr(placement)
    assert len(placement.table().splitlines()) == 1 + len(placement.sites)


def test_pictures_are_written_whole_or_not_at_all(results, network, tmp_path):
    for name, figure in (
        ("points.png", plot.energy_accuracy(results)),
        ("parts.svg", plot.energy_parts(results[-1])),
        ("tiles.pdf", plot.tiles(place(network, chips.HERMES))),
    ):
        plot.save(figure, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 2000
    with pytest.raises(InputError, match=r"use \.png"):
        plot.save(plot.energy_parts(results[0]), tmp_path / "picture.bmp")
    with pytest.raises(InputError, match="cannot be written"):
        plot.save(plot.energy_parts(results[0]), tmp_path / "nowhere" / "picture.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["parts.svg", "points.png", "tiles.pdf"]


def test_outputs_must_be_classes():
    net = sequential([Dense(name="d", weight=np.eye(3))], input_shape=(2, 3))
    q = quantize(net, samples=np.ones((4, 2, 3)))
    with pytest.raises(InputError, match="add a Flatten"):
        run(q, chips.TPU_V1, np.ones((4, 2, 3)))


@given(st.floats(1e-17, 1e13))
def test_si_numbers_read_back(value):
    text = si(value, "J")
    number, unit = text.split(" ")
    factor = {
        "a": 1e-18,
        "f": 1e-15,
        "p": 1e-12,
        "n": 1e-9,
        "u": 1e-6,
        "m": 1e-3,
        "": 1,
        "k": 1e3,
        "M": 1e6,
        "G": 1e9,
        "T": 1e12,
    }
    assert float(number) * factor[unit.removesuffix("J")] == pytest.approx(value, rel=6e-3)


def test_versions_are_told(capsys, results):
    show_versions()
    assert "kernels" in capsys.readouterr().out
    assert set(results[0].versions) == {"neuroemu", "numpy", "python", "machine", "kernels"}


def test_inputs_outside_the_grid_are_warned_of(network, images):
    good = run(network, chips.TPU_V1, images[0])
    assert good.warnings == () and "batch 1" in good.notes[0]
    for wild in (-images[0], images[0] * 4):
        result = run(network, chips.TPU_V1, wild)
        assert "of the input values lie outside 0 to 255" in result.warnings[0]
        assert "WARNING" in repr(compare([result]))


def test_wrong_objects_give_one_line(network, images):
    for call in (
        lambda: quantize(None, samples=images[0]),
        lambda: to_spiking("net", steps=3, samples=images[0]),
        lambda: run_integer(None, images[0]),
        lambda: compare(5),
        lambda: plot.energy_accuracy(5),
        lambda: plot.tiles(5),
        lambda: plot.save(5, "a.png"),
        lambda: run(network, chips.TPU_V1, images[0][:2], labels=[[1], [2, 3]]),
    ):
        with pytest.raises(ArgumentTypeError):
            call()
