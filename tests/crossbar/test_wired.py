"""Wires in whole chips: the circuit of every array, with programming, session and read noise, by plain solutions."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from neuroemu import quantize, run, run_integer
from neuroemu.crossbar import (
    Adc,
    Averaged,
    BitSerial,
    BitSliced,
    ColumnAffine,
    CrossbarChip,
    Dac,
    IdealAdc,
    IdealDac,
    OffsetColumn,
    Wires,
    noise_budget,
    program,
    solve,
    wired,
)
from neuroemu.crossbar.building import build_engine
from neuroemu.crossbar.operating_point import bytes_of, operating_point
from neuroemu.devices import Generic, HermesPcm, Ideal, NormalNoise, RramMilo2021
from neuroemu.energy import CostTable
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Conv2d, Dense, Flatten, relu, sequential

FREE = CostTable(free={k: "test" for k in ("core_read", "dac_drive", "adc_conversion", "adc_clip", "digital_accumulate",
                                           "activation_op")})  # fmt: skip
WIRES = Wires(word_line=2.0, bit_line=3.0, source=20.0, sense=10.0)


def chip(**fields):
    wanted = {"device": Ideal(g_max=2e-4), "rows": 24, "columns": 10, "dac": IdealDac(), "adc": IdealAdc(),
              "wires": WIRES}  # fmt: skip
    return CrossbarChip(name="test", costs=FREE, **wanted | fields)


def dense(rows=40, columns=15, seed=0):
    rng = np.random.default_rng(seed)
    net = sequential(
        [Dense(name="fc", weight=rng.normal(0, 1, (columns, rows)).astype(np.float32))], input_shape=(rows,)
    )
    return quantize(net, samples=rng.normal(0, 1, (50, rows)).astype(np.float32))


def convolutional():
    rng = np.random.default_rng(1)
    layers = [
        Conv2d(name="conv", weight=rng.normal(0, 0.3, (6, 3, 3, 3)).astype(np.float32)),
        relu(name="r"),
        Flatten(name="f"),
        Dense(name="fc", weight=rng.normal(0, 0.1, (10, 96)).astype(np.float32)),
    ]
    net = sequential(layers, input_shape=(3, 6, 6))
    return quantize(net, samples=rng.normal(0, 1, (40, 3, 6, 6)).astype(np.float32))


NET = dense()
X = np.random.default_rng(5).normal(0, 1, (7, 40)).astype(np.float32)


def engine_of(net, machine, *, seed=0, threads=1):
    return build_engine(machine, net, net.layers[0], index=0, sampled=None, seed=seed, trial=0, threads=threads)


def drives(net, x):
    grid = net.grids["input"]
    return (grid.encode(x) - np.float32(grid.zero_point)).astype(np.float32)


def by_circuits(net, machine, drive, cells):
    """Sums of each layer's tiles by single circuits: G+ and G- alone, added up over row tiles, in weight codes."""
    layer = net.layers[0]
    total = np.zeros((len(drive), layer.weight.shape[0]))
    step = (machine.device.g_max - machine.device.g_min) / layer.weight_grid.high
    for held in cells:
        rows, columns = held.tile.rows, held.tile.columns
        plus, minus = (solve(g, drive[:, rows], WIRES) for g in held.cells.conductance)
        total[:, columns] += (plus - minus) / step
    return total


def test_every_tile_is_its_circuit():
    made = program(NET, chip())
    assert len(made.cells["fc"]) == 4
    drive = drives(NET, X)
    expected = by_circuits(NET, made.chip, drive, made.cells["fc"])
    sums = engine_of(NET, chip()).multiply(drive, 0)
    np.testing.assert_allclose(sums, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    exact = drive @ NET.layers[0].weight.T.astype(float)
    assert np.abs(expected - exact).max() > 0.01 * np.abs(exact).max()


def test_programming_noise_is_part_of_the_circuit():
    device = Generic(g_max=2e-4, noise=NormalNoise(5e-6))
    machine = chip(device=device)
    made = program(NET, machine, seed=3)
    drive = drives(NET, X)
    expected = by_circuits(NET, machine, drive, made.cells["fc"])
    sums = engine_of(NET, machine, seed=3).multiply(drive, 0)
    np.testing.assert_allclose(sums, expected, rtol=0, atol=3e-6 * np.abs(expected).max())


@pytest.mark.parametrize("mapping", [None, OffsetColumn(), BitSliced(2), Averaged(3)])
@pytest.mark.parametrize("wires", [Wires(0.0, 0.0), Wires(1e-9, 1e-9)])
def test_wires_without_resistance_change_nothing(mapping, wires):
    fields = {} if mapping is None else {"mapping": mapping}
    net = convolutional()
    x = np.random.default_rng(6).normal(0, 1, (4, 3, 6, 6)).astype(np.float32)
    np.testing.assert_array_equal(run(net, chip(wires=wires, **fields), x).outputs, run_integer(net, x))


@pytest.mark.parametrize("noise", ["exact", "first_order"])
def test_read_noise_is_that_of_circuits_with_noisy_cells(noise):
    """The sums of many reads of one vector, beside circuits whose cells are drawn by another generator."""
    net = dense(rows=12, columns=5)
    relative, reads = 0.03, 1500
    machine = chip(device=Generic(g_max=2e-4, read_noise=relative), noise_in_wires=noise)
    drive = np.repeat(drives(net, X[:1, :12]), reads, axis=0)
    sums = engine_of(net, machine, seed=1).multiply(drive, 0)
    step = 2e-4 / net.layers[0].weight_grid.high
    (held,) = program(net, machine, seed=1).cells["fc"]
    rng = np.random.default_rng(7)
    wanted = np.empty((reads, 5))
    for read in range(reads):
        noisy = held.cells.conductance * (1 + relative * rng.standard_normal(held.cells.conductance.shape))
        plus, minus = (solve(g, drive[0], WIRES) for g in noisy)
        wanted[read] = (plus - minus) / step
    spread = wanted.std(axis=0)
    np.testing.assert_allclose(sums.mean(axis=0), wanted.mean(axis=0), atol=5 * spread.max() / np.sqrt(reads))
    np.testing.assert_allclose(sums.std(axis=0), spread, rtol=0.1)
    found = [kstest((sums[:, c] - wanted[:, c].mean()) / spread[c], "norm").pvalue for c in range(5)]
    assert min(found) > 1e-3 / 5


def test_first_order_is_close_to_exact_and_both_have_the_same_draws():
    machine = chip(device=Generic(g_max=2e-4, read_noise=0.03))
    drive = drives(NET, X)
    exact = engine_of(NET, machine).multiply(drive, 0)
    first = engine_of(NET, replace(machine, noise_in_wires="first_order")).multiply(drive, 0)
    quiet = engine_of(NET, chip()).multiply(drive, 0)
    noise = (exact - quiet).std()
    assert 0 < np.abs(first - exact).std() < 0.02 * noise


@pytest.mark.parametrize("ends", [{}, {"drive": "both"}, {"readout": "both"}])
def test_first_order_is_the_derivative_with_and_without_stored_operators(ends, monkeypatch):
    """Beside a difference quotient of whole circuits, cell by cell."""
    rng = np.random.default_rng(11)
    g, drive, wires = rng.uniform(1e-6, 2e-4, (13, 6)), rng.uniform(-1, 1, (3, 13)), replace(WIRES, **ends)
    change = 1e-6 * rng.standard_normal((3, 13, 6)).astype(np.float32) * g
    expected = [(solve(g + d, v, wires) - solve(g - d, v, wires)) / 2 for d, v in zip(change, drive, strict=True)]
    for dense in (True, False):
        point = operating_point(g, wires, dense=dense, threads=1)
        np.testing.assert_allclose(
            point.added(drive, change, threads=1), expected, rtol=0, atol=1e-5 * np.abs(expected).max()
        )
    assert bytes_of(g.shape) == 4 * (point.g.size * 13 + point.g.size * 6)
    machine = chip(device=Generic(g_max=2e-4, read_noise=0.03), noise_in_wires="first_order")
    stored = engine_of(NET, machine).multiply(drives(NET, X), 0)
    monkeypatch.setattr(wired, "OPERATOR_BYTES", 2 * bytes_of((24, 10)))  # enough for one tile of four
    bounded = engine_of(NET, machine).multiply(drives(NET, X), 0)
    np.testing.assert_allclose(bounded, stored, rtol=0, atol=1e-6 * np.abs(stored).max())
    assert np.abs(bounded - stored).max() > 0


@pytest.mark.parametrize("inputs", [None, BitSerial(2)])
def test_bits_do_not_depend_on_threads_or_batches(inputs):
    net = convolutional()
    x = np.random.default_rng(6).normal(0, 1, (4, 3, 6, 6)).astype(np.float32)
    fields = {"inputs": inputs} if inputs else {}
    noisy = chip(
        device=HermesPcm(), seconds=3600.0, dac=Dac(), adc=Adc(noise=0.3), compensation=ColumnAffine(), **fields
    )
    whole = run(net, noisy, x, seed=2, threads=1).outputs
    np.testing.assert_array_equal(run(net, noisy, x, seed=2, threads=2).outputs, whole)
    np.testing.assert_array_equal(run(net, noisy, x[:2], seed=2, threads=1).outputs, whole[:2])
    assert np.abs(run(net, noisy, x, seed=3, threads=1).outputs - whole).max() > 0


def test_losses_are_told_by_layer_and_repaired_by_a_gain():
    net = convolutional()
    x = np.random.default_rng(6).normal(0, 1, (30, 3, 6, 6)).astype(np.float32)
    exact = run_integer(net, x)
    long = chip(rows=96, columns=64, wires=Wires(word_line=10.0, bit_line=10.0))
    result = run(net, long, x)
    losses = result.traces["current lost in wires"]
    assert 0 < losses["conv"] < losses["fc"] < 1
    assert any("'fc': wires take" in warning for warning in result.warnings)
    error = np.abs(result.outputs - exact).mean()
    repaired = np.abs(run(net, replace(long, compensation=ColumnAffine()), x).outputs - exact).mean()
    assert repaired < 0.4 * error
    assert "current lost in wires" not in run(net, replace(long, wires=None), x).traces
    budget = noise_budget(net, long, x[:10], trials=1)
    assert budget.errors["fc"]["wires"] > 0.05 and budget.errors["fc"]["ADC"] == 0


def test_what_a_linear_circuit_does_not_hold_is_refused():
    with pytest.raises(InputError, match="not ohmic"):
        chip(device=RramMilo2021())
    with pytest.raises(InputError, match="noise of Dac"):
        chip(dac=Dac(noise=0.5))
    with pytest.raises(ArgumentTypeError, match="wires"):
        chip(wires=2.0)
    with pytest.raises(InputError, match="noise_in_wires"):
        chip(noise_in_wires="none")


@pytest.mark.parametrize("noise", ["exact", "first_order"])
def test_a_vector_reads_the_same_bits_alone(noise):
    """In float64, before anything rounds the sums."""
    engine = engine_of(NET, chip(device=Generic(g_max=2e-4, read_noise=0.05), noise_in_wires=noise))
    rows = drives(NET, X)[:, None]
    whole = engine.wired.sums(rows, engine.part.tiles, engine.part.streams, 0, (0, 1))
    for image in range(len(X)):
        alone = engine.wired.sums(rows[image : image + 1], engine.part.tiles, engine.part.streams, image, (0, 1))
        np.testing.assert_array_equal(alone[0], whole[image])
