"""Input schemes: planes add up to the input, noise by time scale, and counts and times by planes."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import chips, quantize, run, run_integer
from neuroemu.crossbar import (
    Adc,
    Amplitude,
    BitSerial,
    BitSliced,
    ColumnAffine,
    CrossbarChip,
    Dac,
    DifferentialPair,
    GivenRange,
    IdealAdc,
    IdealDac,
    NoCompensation,
    OffsetColumn,
    PulseWidth,
    Sar,
)
from neuroemu.crossbar.building import build_engine
from neuroemu.devices import Cells, Device, HermesPcm, Ideal, ReadShares
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Conv2d, Dense, Flatten, relu, sequential


@dataclass(frozen=True)
class Noisy(Device):
    """Exact cells whose read noise has one time scale."""

    share: str  # fresh, slow or frozen
    g_min: float = 0.0
    g_max: float = 25e-6
    sigma: float = 0.5e-6

    def program(self, target, generator):
        return Cells(target)

    def conductance(self, cells, seconds):
        return cells.conductance

    def read_sigma(self, cells, seconds):
        return np.full_like(cells.conductance, self.sigma)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        return ReadShares(**{name: float(name == self.share) for name in ("fresh", "slow", "frozen")})


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    return CrossbarChip(**(given | {"dac": IdealDac(), "adc": IdealAdc()} | fields))


def dense(rows=50, columns=30, seed=0, low=0.0, bits=8):
    random = np.random.default_rng(seed)
    net = sequential([Dense(name="fc", weight=random.normal(0, 0.3, (columns, rows)))], input_shape=(rows,))
    return quantize(net, weight_bits=bits, samples=random.uniform(low, 1, (64, rows)))


def conv(seed=0, low=0.0):
    random = np.random.default_rng(seed)
    net = sequential(
        [
            Conv2d(name="conv", weight=random.normal(0, 0.4, (6, 4, 3, 3)), stride=2),
            relu(name="relu"),
            Flatten(name="flat"),
            Dense(name="fc", weight=random.normal(0, 0.2, (5, 24)), bias=random.normal(0, 0.1, 5)),
        ],
        input_shape=(4, 6, 6),
    )
    return quantize(net, samples=random.uniform(low, 1, (32, 4, 6, 6)))


def inputs(*shape, seed=1, low=0.0):
    return np.random.default_rng(seed).uniform(low, 1, shape).astype(np.float32)


def engine_of(net, machine, seed=0):
    return build_engine(machine, net, net.layers[0], index=0, sampled=None, seed=seed, trial=0, threads=1)


@given(st.lists(st.integers(-40_000, 40_000), min_size=1, max_size=30), st.integers(1, 8))
def test_planes_add_up_to_the_input(values, bits):
    scheme, steps = BitSerial(bits), np.array(values, np.float32)
    largest = int(np.abs(steps).max())
    planes = list(scheme.split(steps, scheme.planes(largest)))
    assert len(planes) == max(1, int(np.ceil(np.log2(largest + 1) / bits)))
    assert max(np.abs(p).max() for p in planes) <= scheme.full_drive(largest) == 2**bits - 1
    np.testing.assert_array_equal(sum(p * scheme.weight(i) for i, p in enumerate(planes)), steps)


@pytest.mark.parametrize("mapping", [DifferentialPair(), OffsetColumn(), BitSliced(2)], ids=str)
@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 40), st.integers(2, 16), st.integers(1, 8), st.sampled_from([0.0, -1.0, -0.2]), st.integers(0, 50)
)
def test_ideal_parts_equal_the_integer_reference(mapping, rows, columns, bits, low, seed):
    """Signed inputs too."""
    net, x = conv(seed, low), inputs(5, 4, 6, 6, seed=seed, low=low)
    machine = chip(rows=rows, columns=columns, mapping=mapping, inputs=BitSerial(bits))
    np.testing.assert_array_equal(run(net, machine, x, threads=1).outputs, run_integer(net, x))


@pytest.mark.parametrize("bits", [5, 8, 9])
def test_a_coarse_dac_rounds_before_the_planes(bits):
    """Planes carry the same rounded drives as an amplitude does."""
    net, x = conv(), inputs(20, 4, 6, 6)
    direct, serial = (
        run(net, chip(dac=Dac(bits=bits), inputs=scheme), x).outputs for scheme in (Amplitude(), BitSerial())
    )
    np.testing.assert_array_equal(direct, serial)
    assert (direct != run_integer(net, x)).any() == (bits < 9)


def test_one_bit_cells_and_planes_need_few_adc_bits():
    """20 rows of one-bit cells and one-bit planes sum to at most 20: 6 bits (31 a sign) lose nothing at all."""
    net, x = dense(rows=20, columns=12), inputs(30, 20)
    current = 0.2 * 25e-6  # one cell that is on
    exact = chip(mapping=BitSliced(1), inputs=BitSerial(1), adc=Adc(bits=6, range=GivenRange(31 * current)))
    result = run(net, exact, x)
    np.testing.assert_array_equal(result.outputs, run_integer(net, x))
    assert result.counts.total("adc_clip") == 0
    coarse = replace(exact, adc=Adc(bits=4, range=GivenRange(31 * current)))
    assert (run(net, coarse, x).outputs != result.outputs).mean() > 0.3


def test_pulse_width_gives_the_same_sums():
    net, x = conv(), inputs(20, 4, 6, 6)
    noisy = chip(device=HermesPcm(), dac=Dac(), adc=Adc(), seconds=3600.0, compensation=ColumnAffine())
    found = run(net, replace(noisy, inputs=PulseWidth()), x, seed=2).outputs
    np.testing.assert_array_equal(found, run(net, noisy, x, seed=2).outputs)


@pytest.mark.parametrize("share", ["slow", "frozen"])
def test_slow_noise_is_shared_by_the_planes(share):
    """The planes see the same cells, so the noisy sums are those of an amplitude read, draw for draw."""
    net = conv()
    x = np.round(inputs(7, 4, 6, 6) * 255)
    direct, serial = (
        engine_of(net, chip(device=Noisy(share), inputs=scheme)).multiply(x, 0)
        for scheme in (Amplitude(), BitSerial(2))
    )
    exact = engine_of(net, chip()).multiply(x, 0)
    np.testing.assert_allclose(serial, direct, rtol=1e-5, atol=0.1)
    assert (direct - exact).std() > 100


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_fresh_noise_is_drawn_for_each_plane(bits):
    """Variance sum_p 4^(p b) sum_r d_pr^2 V, against sum_r d_r^2 V of one read: independent planes average."""
    net = dense(rows=40, columns=16)
    x = np.repeat(np.random.default_rng(3).integers(0, 256, (1, 1, 40)), 4000, axis=0).astype(np.float32)
    sigma = np.sqrt(2) * 0.5e-6 / (25e-6 / 127)
    scheme = BitSerial(bits)
    planes = [plane * scheme.weight(p) for p, plane in enumerate(scheme.split(x[0, 0], 8 // bits))]
    for inputs_, drives in ((Amplitude(), x[0, 0]), (scheme, np.concatenate(planes))):
        sums = engine_of(net, chip(device=Noisy("fresh"), inputs=inputs_)).read(x, 0)
        expected = sigma * np.sqrt(np.square(drives).sum())
        np.testing.assert_allclose(sums.std(axis=0), expected, rtol=0.06)
        correlation = np.corrcoef(sums[:, 0].T)[np.triu_indices(16, 1)]
        assert np.abs(correlation).max() < 0.08


def test_all_ones_understate_white_noise_by_the_known_factor():
    """Eight planes of an input of all ones: sqrt(sum 4^p) / sum 2^p = 1 / 1.73."""
    net = dense(rows=40, columns=16)
    x = np.full((4000, 1, 40), 255, np.float32)
    one, planes = (
        engine_of(net, chip(device=Noisy("fresh"), inputs=scheme)).read(x, 0).std(axis=0).mean()
        for scheme in (Amplitude(), BitSerial())
    )
    assert one / planes == pytest.approx(1.73, rel=0.02)


def test_a_dense_layer_with_planes_keeps_its_slow_noise_apart():
    """Read in planes, a Dense input is read more than once: slow noise may not be merged into the fresh share."""
    net = dense()
    assert not engine_of(net, chip(device=Noisy("slow"))).part.packed.has_slow_noise
    assert engine_of(net, chip(device=Noisy("slow"), inputs=BitSerial())).part.packed.has_slow_noise


def test_counts_and_times_multiply_by_the_planes():
    net, x = dense(), inputs(10, 50)
    plain = chip(rows=25, columns=40, adc=Adc())
    direct = run(net, plain, x)
    for bits, planes in ((1, 8), (2, 4), (3, 3), (8, 1)):
        result = run(net, replace(plain, inputs=BitSerial(bits)), x)
        assert result.counts.total("core_read_1phase") == planes * direct.counts.total("core_read_1phase")
        assert result.counts.total("adc_conversion") == planes * 10 * 2 * 30
        assert result.counts.total("digital_accumulate") == 10 * (planes * 30 + (planes - 1) * 30)
        assert result.latency_per_inference == pytest.approx(planes * direct.latency_per_inference)
    codes = net.grids["input"].encode(x).astype(int) + 128
    ones = sum(np.count_nonzero(codes >> p & 1) for p in range(8))
    assert run(net, replace(plain, inputs=BitSerial()), x).counts.total("dac_drive") == ones
    dac = replace(plain, dac=Dac(bits=8), inputs=BitSerial())  # 7 bits of magnitude
    assert run(net, dac, x).counts.total("adc_conversion") == 7 * 10 * 2 * 30


def test_clipping_of_planes_is_counted():
    net, x = dense(), inputs(20, 50)
    result = run(net, chip(inputs=BitSerial(), adc=Adc(range=GivenRange(1e-9))), x)
    assert 0.3 * 8 * 20 * 30 < result.counts.total("adc_clip") <= 8 * 20 * 30
    assert any("conversions clipped" in warning for warning in result.warnings)


def test_ranges_and_compensation_are_those_of_planes():
    """Ranges fitted on whole inputs would be 255 times too wide for a plane and lose everything."""
    net, x = dense(), inputs(200, 50)
    reference = run_integer(net, x)
    step = net.grids["fc"].scale
    clean = run(net, chip(inputs=BitSerial(), adc=Adc(bits=8)), x).outputs - reference
    assert clean.std() < 2.5 * step
    aged = chip(
        inputs=BitSerial(), adc=Adc(bits=8, offset_spread=3.0, gain_spread=0.05), device=HermesPcm(), seconds=1e6
    )
    before, after = (
        (run(net, replace(aged, compensation=mode), x, trials=3).trial_outputs - reference).std()
        for mode in (NoCompensation(), ColumnAffine())
    )
    assert after < 0.5 * before


@pytest.mark.parametrize("mapping", [DifferentialPair(), OffsetColumn(), BitSliced(3)], ids=str)
def test_same_bits_for_any_threads_and_batches(mapping):
    net, x = conv(), inputs(60, 4, 6, 6)
    noisy = chip(
        rows=20, columns=24, device=HermesPcm(), seconds=3600.0, mapping=mapping, inputs=BitSerial(2), dac=Dac(),
        compensation=ColumnAffine(),
        adc=Adc(bits=8, noise=0.3, offset_spread=1.0, gain_spread=0.02, kind=Sar(0.03)),
    )  # fmt: skip
    whole = run(net, noisy, x, seed=2, threads=1).outputs
    np.testing.assert_array_equal(whole, run(net, noisy, x, seed=2, threads=2).outputs)
    np.testing.assert_array_equal(whole[:25], run(net, noisy, x[:25], seed=2).outputs)


def test_bad_settings():
    with pytest.raises(InputError, match="BitSerial: bits_per_step is 0; allowed: 1 to 8"):
        BitSerial(0)
    with pytest.raises(ArgumentTypeError, match="must be an integer"):
        BitSerial(1.5)
    with pytest.raises(ArgumentTypeError, match="inputs must be a InputScheme, got str"):
        chip(inputs="serial")
