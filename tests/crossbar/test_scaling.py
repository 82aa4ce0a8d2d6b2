"""Scaling by column: smaller errors of cells and a better use of a shared range, where columns have small weights."""

from dataclasses import dataclass, replace

import numpy as np

from neuroemu import chips, quantize
from neuroemu.crossbar import Adc, CrossbarChip, DifferentialPair, IdealAdc, IdealDac, MinMaxRange, OffsetColumn
from neuroemu.crossbar.building import build_engine
from neuroemu.devices import Cells, Device, Ideal, ReadShares
from neuroemu.network import Dense, sequential


@dataclass(frozen=True)
class Fuzzy(Device):
    """Every cell is off by the same normal noise when programmed."""

    g_min: float = 1e-6
    g_max: float = 26e-6
    programming: float = 0.0

    def program(self, target, generator):
        return Cells(target + self.programming * generator.standard_normal(target.shape))

    def conductance(self, cells, seconds):
        return cells.conductance

    def read_sigma(self, cells, seconds):
        return np.zeros_like(cells.conductance)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        return ReadShares(1.0, 0.0, 0.0)


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    return CrossbarChip(**(given | {"dac": IdealDac(), "adc": IdealAdc()} | fields))


def dense(rows, columns):
    random = np.random.default_rng(0)
    net = sequential([Dense(name="fc", weight=random.normal(0, 0.3, (columns, rows)))], input_shape=(rows,))
    return quantize(net, samples=random.uniform(0, 1, (64, rows)))


def engine_of(net, machine):
    sampled = machine.sampled_rows(net).get("fc")
    return build_engine(machine, net, net.layers[0], index=0, sampled=sampled, seed=0, trial=0, threads=1)


def test_scaled_columns_have_smaller_errors():
    """Columns whose largest weight is 1/1, 1/2, 1/4 ... of the layer's; the error of cells falls as gains rise."""
    net = dense(rows=600, columns=7)
    peaks = 127 >> np.arange(7)
    weight = np.random.default_rng(0).integers(-peaks[:, None], peaks[:, None] + 1, (7, 600)).astype(np.int8)
    weight[:, 0] = peaks
    net = net.replace(layers=(replace(net.layers[0], weight=weight),))
    gains = 127 / peaks
    for mapping, cells in ((DifferentialPair(scaling="column"), 127), (OffsetColumn(scaling="column"), 254)):
        engine = engine_of(net, chip(rows=600, mapping=mapping, device=Fuzzy(programming=0.25e-6)))
        error = (engine.read(np.eye(600, dtype=np.float32)[:, None], 0)[:, 0] - weight.T).std(axis=0)
        np.testing.assert_allclose(error, 0.01 * cells * np.sqrt(2) / gains, rtol=0.12)
    (levels,) = DifferentialPair(scaling="column").layout(weight.T, 127, Ideal(), 7).levels[:1]
    assert (levels >= 125).all() and (levels <= 127).all()


def test_scaled_columns_share_the_range_of_a_tile_better():
    """A range in amperes is one for the tile: a column of small weights has more of its codes with a gain."""
    net = dense(rows=100, columns=8)
    weight = net.layers[0].weight.copy()
    weight[1:] //= 16
    net = net.replace(layers=(replace(net.layers[0], weight=weight),))
    error, step = [], []
    for scaling in ("layer", "column"):
        machine = chip(mapping=DifferentialPair(scaling=scaling), adc=Adc(bits=9, range=MinMaxRange()))
        engine = engine_of(net, machine)
        drive = net.grids["input"].encode(net.samples).astype(np.float32) + 128
        error.append((engine.read(drive[:, None], 0)[:, 0] - drive @ weight.T).std(axis=0))
        step.append(engine.tables.step[0])
        assert len(np.unique(step[-1])) == 1
    gains = np.floor(64 * 127 / np.abs(weight).max(axis=1)) / 64
    np.testing.assert_allclose(error[1][1:] / error[0][1:], step[1][0] / step[0][0] / gains[1:], rtol=0.3)
    assert (error[1][1:] < 0.3 * error[0][1:]).all()
