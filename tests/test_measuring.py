"""measure_baseline: onnxruntime gives the outputs; the meters are read as the kernel and the driver write them."""

import time

import numpy as np
import pytest

from neuroemu import chips, compare, datasets, measure_baseline, quantize, run, run_integer
from neuroemu.errors import ArgumentTypeError, InputError, PriceError
from neuroemu.measuring import NvidiaSmi, Rapl


@pytest.fixture(scope="module")
def case():
    net = datasets.mnist_network()
    q = quantize(net, samples=net.samples)
    return q, *datasets.mnist_test(25)


class Steady:
    """A meter of a machine that draws 10 W."""

    name = "steady"

    def start(self):
        return time.perf_counter()

    def joules(self, started):
        return 10 * (time.perf_counter() - started)


def domain(root, folder, name, energy, most=2**32):
    (root / folder).mkdir()
    for file, value in (("name", name), ("energy_uj", energy), ("max_energy_range_uj", most)):
        (root / folder / file).write_text(f"{value}\n")


def test_outputs_times_and_accuracy(case):
    q, x, y = case
    found = measure_baseline(q, x, labels=y, batch=10, seconds=0.05, threads=1, meter=Steady())
    step = q.grids[q.output].scale
    assert np.mean(np.rint(found.outputs / step) != np.rint(run_integer(q, x) / step)) < 0.01
    assert found.scores.accuracy == (found.outputs.argmax(axis=1) == y).mean()
    assert len(found.outputs) == 25 and found.inferences >= 25 and len(found.batch_seconds) >= 3
    assert found.batch_seconds.sum() >= 0.02 and found.latency > 0
    assert found.idle_watts == pytest.approx(10, rel=0.05)
    assert found.energy_per_inference == pytest.approx(10 / found.throughput, rel=0.5)
    assert "steady" in repr(found)


def test_a_metered_run_stands_in_a_comparison(case):
    q, x, y = case
    result = measure_baseline(q, x, labels=y, batch=5, seconds=0.05, threads=1, meter=Steady()).result
    assert result.energy.static == pytest.approx(10 * 25 / result.throughput, rel=0.1)
    text = repr(compare([result, run(q, chips.TPU_V1, x, labels=y)]))
    assert result.chip_name in text and "measured:" in text and "board, power supply" in text


def test_counters_of_all_packages_and_their_round(tmp_path):
    domain(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    domain(tmp_path, "intel-rapl:0:0", "core", 500)  # held in its package
    domain(tmp_path, "intel-rapl:0:1", "dram", 10)
    domain(tmp_path, "intel-rapl:1", "package-1", 9_000_000, most=10_000_000)
    meter = Rapl(tmp_path)
    started = meter.start()
    for folder, energy in (("intel-rapl:0", 3_500_000), ("intel-rapl:0:0", 99), ("intel-rapl:0:1", 250_010),
                           ("intel-rapl:1", 500_000)):  # fmt: skip
        (tmp_path / folder / "energy_uj").write_text(str(energy))
    assert meter.joules(started) == pytest.approx(2.5 + 0.25 + 1.5)


def test_power_of_cards_is_summed_over_time(tmp_path, monkeypatch):
    card = tmp_path / "nvidia-smi"
    card.write_text("#!/bin/sh\necho 50.5\necho 49.5\n")
    card.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    meter, before = NvidiaSmi(), time.perf_counter()
    started = meter.start()
    time.sleep(0.25)
    joules = meter.joules(started)
    assert joules == pytest.approx(100 * (time.perf_counter() - before), rel=0.3) and len(started[2]) >= 3
    card.write_text("#!/bin/sh\necho '[N/A]'\n")
    with pytest.raises(OSError, match="tells no power"):
        NvidiaSmi()


def test_without_a_meter_it_says_so(case, tmp_path, monkeypatch):
    q, x, _ = case
    monkeypatch.setattr("neuroemu.measuring.POWERCAP", tmp_path)
    monkeypatch.setattr(Rapl.__init__, "__defaults__", (tmp_path,))
    found = measure_baseline(q, x[:5], seconds=0.01, threads=1)
    assert found.joules is None and "no readable energy counter" in repr(found)
    with pytest.raises(PriceError, match="no energy: no readable energy counter"):
        _ = found.result


def test_bad_arguments(case):
    q, x, _ = case
    with pytest.raises(InputError, match="this onnxruntime has no 'NoSuchProvider'; choose from"):
        measure_baseline(q, x, provider="NoSuchProvider")
    with pytest.raises(ArgumentTypeError, match="network"):
        measure_baseline("net", x)
    with pytest.raises(InputError, match="batch"):
        measure_baseline(q, x, batch=0)
