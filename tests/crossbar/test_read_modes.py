"""The engine's choice of kernel mode: what it sees in the weights and converters, and that it changes no result."""

import importlib
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from neuroemu import chips, kernels, quantize, run
from neuroemu.crossbar import (
    Adc,
    Amplitude,
    BitSerial,
    BitSliced,
    ColumnAffine,
    CrossbarChip,
    Dac,
    DifferentialPair,
    IdealAdc,
    IdealDac,
    OffsetColumn,
    PulseWidth,
    read_per_device,
)
from neuroemu.crossbar.building import build_engine
from neuroemu.crossbar.engine import Tally, part_of
from neuroemu.crossbar.programming import Weights
from neuroemu.devices import Cells, CubicCell, Device, HermesPcm, Ideal, ReadShares
from neuroemu.errors import InputError
from neuroemu.kernels import _crossbar_base as base
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


def test_rows_that_are_not_built_do_not_count():
    """Padding has no variance and no drive; only the rows that are there must agree."""
    levels, variance = np.ones((34, 20), np.float32), np.full((34, 20), 2, np.float32)
    idle = np.zeros(34, bool)
    idle[[15, 16, 33]] = True
    variance[idle] = 0
    cut = (Weights(levels, variance, None), slice(0, 34), slice(0, 2), 17, (0, 0))
    assert not part_of(*cut).packed.has_column_noise
    assert part_of(*cut, idle=idle).packed.has_column_noise
    x = drives(30, rows=34) * ~idle
    sums = []
    for part in (part_of(*cut), part_of(*cut, idle=idle)):
        sums.append(np.empty((30, 1, 20)))
        kernels.crossbar.mvm(part.packed, x.astype(np.float32), sums[-1])
    np.testing.assert_allclose(*sums, rtol=1e-5)


# Noise by time scale


def noise_of(engine, images=4000, patches=1):
    """Noise of the sums of one input that is read again and again, (images, patches, M)."""
    x = np.tile(drives(1, rows=engine.layout.levels.shape[0]), (images, patches, 1))
    return engine.read(x, 0) - x[:1, :1] @ engine.layout.levels


@pytest.mark.parametrize("share", ["fresh", "frozen"])
def test_frozen_noise_is_not_averaged_away_and_fresh_noise_is(share):
    """Autocorrelation over images: one for noise that a chip keeps, zero for noise of a read."""
    net = dense()
    noise = noise_of(engine_of(net, chip(device=Noisy(share=share, slope=0.01))))[:, 0]
    successive = (noise[1:] * noise[:-1]).mean(axis=0) / np.square(noise).mean(axis=0)
    expected = 1.0 if share == "frozen" else 0.0
    assert np.abs(successive - expected).max() < (1e-9 if expected else 4.5 / np.sqrt(len(noise)))
    assert noise.std() > 100


def test_frozen_noise_is_no_part_of_the_variance_of_a_read():
    net = dense()
    frozen = engine_of(net, chip(device=Noisy(share="frozen")))
    assert not frozen.part.packed.has_fresh_noise and not frozen.part.packed.has_slow_noise
    assert noise_of(frozen, images=3).std(axis=0).max() == 0
    others = [noise_of(engine_of(net, chip(device=Noisy(share="frozen")), trial=t), images=1)[0, 0] for t in range(40)]
    spread = np.std(others, axis=0) / np.sqrt((drives(1)[0, 0] ** 2).sum() * 2) / (0.5e-6 / (25e-6 / 127))
    assert spread.mean() == pytest.approx(1.0, abs=4.2 / np.sqrt(2 * 40 * 30))


# One normal a column beside one a device


def test_two_moments_are_a_normal_for_every_device():
    """20,000 reads in SI units: variance within 1 %, same distribution, independent columns, same spread of codes."""
    reads, rows, columns, v_read = 20_000, 48, 18, 0.2
    rng = np.random.default_rng(7)
    plus, minus = rng.uniform(0, 25e-6, (2, rows, columns))
    noise = 0.02 * plus + 0.2e-6, 0.03 * minus + 0.1e-6
    drive, unit = rng.integers(0, 128, rows), 25e-6 / 127
    volts = np.tile(drive * v_read / 127, (reads, 1))
    currents = read_per_device(plus, minus, volts, sigma_plus=noise[0], sigma_minus=noise[1], generator=rng)
    truth = currents / (v_read / 127 * unit)
    mean = ((plus - minus) / unit).astype(np.float32)
    variance = ((noise[0] ** 2 + noise[1] ** 2) / unit**2).astype(np.float32)
    packed, found = kernels.crossbar.pack(mean, variance, None, rows), np.empty((reads, 1, columns))
    x = np.tile(drive.astype(np.float32), (reads, 1, 1))
    kernels.crossbar.mvm(packed, x, found, seed=5)
    found = found[:, 0]
    ratio = found.var(axis=0) / truth.var(axis=0)
    assert abs(ratio.mean() - 1) < 0.01 and np.abs(ratio - 1).max() < 4.2 * np.sqrt(4 / reads)
    assert np.abs(found.mean(axis=0) - truth.mean(axis=0)).max() < 4.2 * found.std() * np.sqrt(2 / reads)
    assert min(stats.ks_2samp(f, t).pvalue for f, t in zip(found.T, truth.T, strict=True)) > 1e-3 / columns
    pairs = np.corrcoef(found.T)[np.triu_indices(columns, 1)]
    assert np.sqrt(np.mean(pairs**2)) * np.sqrt(reads) == pytest.approx(1.0, abs=3 / np.sqrt(2 * pairs.size))
    assert abs(pairs.mean()) < 3 / np.sqrt(reads * pairs.size)
    step = np.float32(truth.std(axis=0).mean())
    given = {"adc_step": np.full((1, columns), step, np.float32), "adc_limit": 4095.0}
    codes = np.empty((reads, 1, columns))
    kernels.crossbar.mvm(packed, x, codes, seed=6, **given)
    spread = codes[:, 0].std(axis=0) / np.rint(truth / step).std(axis=0)
    assert abs(spread.mean() - 1) < 0.01 and np.abs(spread - 1).max() < 4.2 / np.sqrt(reads)


# One product for lossless planes and slices

SCHEMES = (Amplitude(), BitSerial(1), BitSerial(3))
CUBIC = CubicCell(Ideal(), third=0.5)


def apart(engine):
    return replace(engine, folded=None, tally=Tally())


def events(engine):
    return engine.tally.vectors, engine.tally.drives, engine.tally.adc_clips


@pytest.mark.parametrize("inputs", SCHEMES, ids=str)
@pytest.mark.parametrize("mapping", [DifferentialPair(), OffsetColumn(), BitSliced(2)], ids=str)
def test_lossless_planes_and_slices_are_one_product_with_the_same_events(mapping, inputs):
    net, x = dense(), drives(40) * (np.random.default_rng(0).random((40, 1, 50)) < 0.6)
    for machine in (chip(), chip(device=HermesPcm(read_noise=False), seconds=1e5, compensation=ColumnAffine())):
        engine = engine_of(net, replace(machine, mapping=mapping, inputs=inputs, rows=20, columns=8))
        several = inputs.splits or len(engine.layout.terms) > 1
        assert (engine.folded is not None) == several
        whole, parts = engine.read(x, 0), apart(engine).read(x, 0)
        if isinstance(machine.device, Ideal):
            np.testing.assert_array_equal(whole, parts)
        np.testing.assert_allclose(whole, parts, rtol=1e-5, atol=1e-5 * np.abs(parts).max())
        kept = apart(engine)
        kept.multiply(x[:, 0], 0)
        folded = replace(engine, tally=Tally())
        folded.multiply(x[:, 0], 0)
        assert events(folded) == events(kept) and folded.tally.drives > 0


def test_signed_inputs_keep_their_events():
    """Row tiles with unequal arrays, and inputs of both signs."""
    weight = np.zeros((12, 40))
    weight[:6, :20], weight[6:, :15] = (np.random.default_rng(0).normal(0, 1, shape) for shape in ((6, 20), (6, 15)))
    samples = np.random.default_rng(1).uniform(-1, 1, (64, 40))
    net = quantize(sequential([Dense(name="fc", weight=weight)], input_shape=(40,)), samples=samples)
    x = np.random.default_rng(2).integers(-128, 128, (9, 1, 40)).astype(np.float32)
    for inputs in (BitSerial(2), BitSerial(2, signs="phases"), Amplitude(signs="phases")):
        engine = engine_of(net, chip(rows=15, columns=6, inputs=inputs))
        kept, folded = apart(engine), replace(engine, tally=Tally())
        assert folded.folded is not None
        assert engine.arrays.tolist() != [engine.arrays[0]] * len(engine.arrays)
        np.testing.assert_array_equal(folded.read(x, 0), kept.read(x, 0))
        assert events(folded) == events(kept) and folded.tally.drives > 0


def test_sums_beyond_float32_are_folded_in_float64():
    """4000 rows of the largest weights and inputs: 8-bit planes are exact in float32, the whole sum is not."""
    weight = np.ones((2, 4000))
    weight[1, ::3] = 0.01
    net = quantize(
        sequential([Dense(name="fc", weight=weight)], input_shape=(4000,)), samples=np.ones((4, 4000)) * [[1.0]]
    )
    engine = engine_of(net, chip(rows=4096, inputs=BitSerial()))
    x = np.random.default_rng(0).integers(200, 256, (3, 1, 4000)).astype(np.float32)
    assert engine.folded.exact
    np.testing.assert_array_equal(engine.read(x, 0), x.astype(float) @ engine.layout.levels.astype(float))


@pytest.mark.parametrize(
    "fields",
    [
        {"adc": Adc()},
        {"device": Noisy()},
        {"dac": Dac(noise=0.1)},
        {"dac": Dac(inl=0.1), "inputs": BitSerial(4)},
        {"device": Noisy(share="slow"), "mapping": BitSliced(2)},
        {"device": CUBIC},
    ],
)
def test_nothing_lossy_is_folded(fields):
    assert engine_of(dense(), chip(**({"inputs": BitSerial()} | fields))).folded is None


def test_slow_noise_is_folded_over_planes_draw_for_draw():
    engine = engine_of(dense(), chip(device=Noisy(share="slow"), inputs=BitSerial()))
    x = drives(20)
    assert engine.folded is not None
    np.testing.assert_allclose(engine.read(x, 0), apart(engine).read(x, 0), rtol=1e-5, atol=0.5)
    assert (engine.read(x, 0) - x @ engine.layout.levels).std() > 100


# Exact arithmetic


@pytest.mark.parametrize("inputs", SCHEMES, ids=str)
def test_float64_sums_are_the_same_on_both_builds(inputs, monkeypatch):
    """Every kind of noise and error; the base build rounds each product, the other fuses it with the addition."""
    net = dense(rows=200)
    machine = chip(
        rows=128, device=HermesPcm(), seconds=3600.0, compensation=ColumnAffine(), inputs=inputs,
        dac=Dac(noise=0.3, inl=0.5), adc=Adc(bits=8, noise=0.3, offset_spread=1.0), arithmetic="float64",
    )  # fmt: skip
    x = np.random.default_rng(1).uniform(0, 1, (20, 200)).astype(np.float32)
    outputs = {}
    for build in ("base", "v3") if base.cpu_has_v3() else ("base",):
        monkeypatch.setattr(kernels, "crossbar", importlib.import_module(f"neuroemu.kernels._crossbar_{build}"))
        outputs[build] = [run(net, machine, x, seed=1, threads=t).outputs for t in (1, 2)]
    first, *others = [out for pair in outputs.values() for out in pair]
    for other in others:
        np.testing.assert_array_equal(other, first)
    rough = run(net, replace(machine, arithmetic="float32"), x, seed=1).outputs
    assert (rough != first).mean() < 0.1  # a code here and there is at an edge


def test_sums_that_float64_would_round_are_refused():
    net = dense(rows=1024)
    x = np.ones((1, 1024), np.float32)
    wide = chip(rows=1024, device=HermesPcm(), dac=Dac(noise=1.0), arithmetic="float64")
    with pytest.raises(InputError, match="layer 'fc' takes 54 bits for exact sums, float64 has 53; use fewer rows"):
        run(net, wide, x)
    assert run(net, replace(wide, rows=512), x).n_images == 1
    with pytest.raises(InputError, match="arithmetic is 'float16'; choose from 'float32', 'float64'"):
        chip(arithmetic="float16")


def test_cells_that_are_not_ohmic_are_refused_where_they_do_not_fit():
    net, x = dense(), np.ones((1, 50), np.float32)
    with pytest.raises(InputError, match="cells that are not ohmic: powers of the drive lie on no grid"):
        run(net, chip(device=CUBIC, arithmetic="float64"), x)
    held = chip(device=CUBIC, arithmetic="float64", inputs=PulseWidth())
    assert run(net, held, x).n_images == 1
    with pytest.raises(InputError, match="and a Dac without errors"):
        run(net, replace(held, dac=Dac(inl=0.5)), x)
    with pytest.raises(InputError, match="with cells that are not ohmic is not modelled; use Dac"):
        run(net, chip(device=CUBIC, dac=Dac(noise=0.1)), x)
