"""The engine's choice of kernel mode: what it sees in the weights and converters, and that it changes no result."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from neuroemu import chips, kernels, quantize
from neuroemu.crossbar import Adc, CrossbarChip, IdealAdc, IdealDac
from neuroemu.crossbar.building import build_engine
from neuroemu.crossbar.engine import part_of
from neuroemu.crossbar.programming import Weights
from neuroemu.devices import Cells, Device, HermesPcm, Ideal, ReadShares
from neuroemu.network import Dense, sequential


@dataclass(frozen=True)
class Noisy(Device):
    """Exact cells with read noise that is the same for all levels, or grows with the conductance."""

    slope: float = 0.0
    share: str = "fresh"
    g_min: float = 0.0
    g_max: float = 25e-6
    sigma: float = 0.5e-6

    def program(self, target, generator):
        return Cells(target)

    def conductance(self, cells, seconds):
        return cells.conductance

    def read_sigma(self, cells, seconds):
        return self.sigma + self.slope * cells.conductance

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        return ReadShares(**{name: float(name == self.share) for name in ("fresh", "slow", "frozen")})


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    return CrossbarChip(**(given | {"dac": IdealDac(), "adc": IdealAdc()} | fields))


def dense(rows=50, columns=30, seed=0):
    random = np.random.default_rng(seed)
    net = sequential([Dense(name="fc", weight=random.normal(0, 0.3, (columns, rows)))], input_shape=(rows,))
    return quantize(net, samples=random.uniform(0, 1, (64, rows)))


def engine_of(net, machine, *, trial=0, threads=1):
    sampled = machine.sampled_rows(net).get("fc")
    return build_engine(machine, net, net.layers[0], index=0, sampled=sampled, seed=0, trial=trial, threads=threads)


def drives(images, rows=50, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (images, 1, rows)).astype(np.float32)


@pytest.mark.parametrize("rows", [50, 20, 17])  # one tile; 17, 17, 16 rows; 17, 17, 16
def test_constant_read_noise_takes_no_second_product(rows):
    net = dense()
    part = engine_of(net, chip(rows=rows, device=Noisy())).part
    assert part.packed.has_fresh_noise and part.packed.has_column_noise
    for device in (Noisy(slope=0.1), HermesPcm()):
        other = engine_of(net, chip(rows=rows, device=device)).part.packed
        assert other.has_fresh_noise and not other.has_column_noise
    assert not engine_of(net, chip(rows=rows, device=Ideal())).part.packed.has_fresh_noise


def test_constant_read_noise_gives_the_sums_of_two_products():
    net, x = dense(), drives(200)
    machine = chip(rows=20, columns=16, device=Noisy(), adc=Adc(bits=10))
    engine = engine_of(net, machine)
    variance = np.full((50, 30), np.float32(2 * (0.5e-6 / (25e-6 / 127)) ** 2))
    packed = kernels.crossbar.pack(engine.layout.levels, variance, None, engine.rows_per_tile)
    slow = replace(engine, part=replace(engine.part, packed=packed))
    wrong = np.abs(engine.read(x, 0) - slow.read(x, 0)) / engine.tables.step.max()
    assert wrong.max() < 3.001 and np.count_nonzero(wrong > 1e-3) < 2e-3 * wrong.size


def test_one_cell_with_another_variance_is_seen():
    """Also where it is the last one of a last tile that is not full."""
    levels, variance = np.ones((50, 30), np.float32), np.ones((50, 30), np.float32)
    for value, same in ((1, True), (np.nextafter(np.float32(1), np.float32(2)), False)):
        variance[49, 29] = value
        part = part_of(Weights(levels, variance, None), slice(0, 50), slice(0, 3), 17, (0, 0))
        assert part.packed.has_column_noise == same
