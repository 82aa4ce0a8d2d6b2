"""Cells that are not ohmic: column sums against the sum of the devices' own currents."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu import chips, datasets, quantize, run
from neuroemu.crossbar import (
    Adc,
    Amplitude,
    Averaged,
    BitSerial,
    BitSliced,
    ColumnAffine,
    CrossbarChip,
    Dac,
    DifferentialPair,
    HeavyRows,
    IdealAdc,
    IdealDac,
    OffsetColumn,
    PulseWidth,
    Sar,
    Significance,
    noise_budget,
)
from neuroemu.crossbar.building import build_engine, largest_drive, planes_of, program_layer, scheme_of
from neuroemu.devices import (
    Cubic,
    CubicCell,
    Faulty,
    Generic,
    Ideal,
    NormalNoise,
    RramMilo2021,
    WhiteNoise,
    WithReadNoise,
    WriteVerified,
)
from neuroemu.energy import CostTable
from neuroemu.errors import InputError
from neuroemu.network import Dense, sequential

FREE = CostTable(
    costs=(),
    free=dict.fromkeys(
        ("core_read", "dac_drive", "adc_conversion", "adc_clip", "digital_accumulate", "activation_op"), "not priced"
    ),
)
SCHEMES = [Amplitude(), PulseWidth(), BitSerial(1), BitSerial(3), Amplitude("phases"), PulseWidth("phases")]
SCHEMES += [BitSerial(1, "phases"), BitSerial(2, "phases")]
MAPPINGS = [DifferentialPair(), OffsetColumn(), BitSliced(2), Averaged(3)]
MAPPINGS += [DifferentialPair("two", scaling="column"), Significance((1, 8), correct=True)]


def chip(device, **fields):
    given = {"name": "test", "costs": FREE, "rows": 14, "columns": 9, "dac": IdealDac(v_read=0.5), "adc": IdealAdc()}
    return CrossbarChip(device=device, **(given | fields))


def dense(signed):
    random = np.random.default_rng(1)
    low = -1.0 if signed else 0.0
    samples = random.uniform(low, 1, (64, 37)).astype(np.float32)
    net = sequential([Dense(name="fc", weight=random.normal(0, 0.2, (11, 37)))], input_shape=(37,))
    return quantize(net, samples=samples)


def drives(network, n=5):
    grid = network.grids[network.weighted[0].inputs[0]]
    codes = np.random.default_rng(2).integers(grid.low, grid.high + 1, (n, 37))
    return (codes - grid.zero_point).astype(np.float32)


def engine(chip, network):
    return build_engine(chip, network, network.weighted[0], index=0, sampled=None, seed=3, trial=0, threads=1)


def from_currents(chip, network, x, levels=None):
    """What `engine(chip, network).read(x)` stands for, device by device in amperes."""
    layer, device, volts = network.weighted[0], chip.device, chip.dac.v_read
    layout = chip.layout(layer)
    largest = largest_drive(chip, network, layer)
    full, top = chip.inputs.full_drive(largest), chip.mapping.top(max(layer.weight_grid.high, 1))
    unit = volts / full * (device.g_max - device.g_min) / top  # amperes of one column-sum unit
    scheme = scheme_of(chip, network, layer)
    planes = scheme.split(layout.driven(x), planes_of(chip, network, layer))
    total = 0.0
    for number, plane in enumerate(planes):
        columns = np.zeros((len(x), layout.levels.shape[1]))
        for held in program_layer(chip, layer, index=0, seed=3, trial=0):
            d = plane[:, held.tile.rows, None].astype(np.float64)
            if levels is not None:
                codes = d[..., 0].astype(int) + full
                d = np.stack([levels[held.tile.rows][np.arange(d.shape[1]), row] for row in codes])[..., None]
            for cells, sign in ((held.plus, 1), (held.minus, -1)):
                if cells is None:
                    continue
                g = np.reshape(device.conductance(cells, 0.0), (-1, *cells.conductance.shape[-2:]))
                for one in g:  # devices in parallel
                    if isinstance(chip.inputs, PulseWidth):
                        current = np.abs(d) / full * device.iv.current(one, np.sign(d) * volts)
                    else:
                        current = device.iv.current(one, d / full * volts)
                    columns[:, held.tile.columns] += sign * current.sum(axis=1) / len(g)
        total = total + layout.outputs(columns / unit) * scheme.weight(number)
    return total


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize(
    "device",
    [RramMilo2021(), CubicCell(Generic(noise=NormalNoise(1e-6)), third=-0.25, second=0.1)],
    ids=["Milo", "Cubic"],
)
def test_column_sums_are_those_of_the_devices_currents(device, scheme, signed):
    network = dense(signed)
    x = drives(network)
    assert (x.min() < -50) == signed and x.max() > 50
    for mapping in MAPPINGS:
        built = chip(device, inputs=scheme, mapping=mapping, row_order=HeavyRows())
        expected = from_currents(built, network, x)
        read = engine(built, network).read(x[:, None, :], 0)[:, 0]
        np.testing.assert_allclose(read, expected, rtol=2e-5, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("scheme", [Amplitude(), BitSerial(3)], ids=str)
def test_row_drivers_of_their_own_levels_drive_the_curve(scheme):
    network = dense(True)
    x = drives(network)
    built = chip(CubicCell(Ideal(), third=-0.25, second=0.1), inputs=scheme, dac=Dac(v_read=0.5, inl=1.5))
    programmed = engine(built, network)
    steps = built.dac.steps(x, programmed.dac_scale)
    expected = from_currents(built, network, steps, programmed.drivers.levels)
    read = programmed.read(x[:, None, :], 0)[:, 0]
    np.testing.assert_allclose(read, expected, rtol=2e-5, atol=2e-5 * np.abs(expected).max())
    assert np.abs(expected - from_currents(built, network, steps)).max() > 1e-3 * np.abs(expected).max()


def test_closed_forms_for_a_curve_of_one_shape():
    """I = G (V + a V^2 + b V^3): held at v the sums scale; driven by d they are those of d + a v d |d| / D ..."""
    network = dense(False)
    x = drives(network)
    weight = network.weighted[0].weight.astype(np.float64).T
    a, b, v = 0.3, -0.4, 0.4
    cell, dac = CubicCell(Ideal(), third=b, second=a), IdealDac(v_read=v)
    for scheme in (PulseWidth(), BitSerial(1)):
        read = engine(chip(cell, inputs=scheme, dac=dac), network).read(x[:, None], 0)[:, 0]
        np.testing.assert_allclose(read, x @ weight * (1 + a * v + b * v**2), rtol=1e-5, atol=1e-2)
    grid = network.grids[network.weighted[0].inputs[0]]
    full = grid.high - grid.zero_point
    bent = x + a * v * x**2 / full + b * v**2 * x**3 / full**2
    read = engine(chip(cell, dac=dac), network).read(x[:, None], 0)[:, 0]
    np.testing.assert_allclose(read, bent @ weight, rtol=1e-5, atol=1e-2)


def test_a_straight_cubic_is_ohmic_and_counts_are_physical():
    network = quantize_mnist()
    x, _ = datasets.mnist_test(20)
    noisy = Generic(noise=NormalNoise(1e-6), read_noise=0.02)
    covered = {kind: by for kind, by in chips.HERMES.costs.covered.items() if kind != "array_attojoule"}
    costs = replace(chips.HERMES.costs, covered=covered)  # the heat of cells that are not ohmic is not counted
    base = replace(chips.HERMES, device=noisy, costs=costs)
    for scheme in (Amplitude(), BitSerial(2)):
        ohmic = run(network, replace(base, inputs=scheme), x, seed=5)
        straight = run(network, replace(base, inputs=scheme, device=CubicCell(noisy, third=0.0)), x, seed=5)
        np.testing.assert_allclose(straight.outputs, ohmic.outputs, rtol=1e-5, atol=1e-4)
        assert straight.counts == ohmic.counts
    bent = run(network, replace(base, device=CubicCell(noisy, third=-0.25)), x, seed=5)
    ohmic = run(network, base, x, seed=5)
    first = network.weighted[0].name  # later layers are driven by what this one gave
    events = [{k: v for k, v in r.counts.by_layer()[first].items() if k != "adc_clip"} for r in (bent, ohmic)]
    assert events[0] == events[1] and events[0]["dac_drive"] > 0
    assert not np.array_equal(bent.outputs, ohmic.outputs)


def quantize_mnist():
    plain = datasets.mnist_network()
    return quantize(plain, samples=plain.samples)


@pytest.mark.parametrize("scheme", [Amplitude(), PulseWidth(), BitSerial(1)], ids=str)
def test_milo_runs_the_embedded_network_the_same_in_any_batch(scheme):
    network = quantize_mnist()
    x, y = datasets.mnist_test(120)
    device = WithReadNoise(RramMilo2021(), (WhiteNoise(0.5e-6),))
    adc = Adc(bits=8, kind=Sar(0.01))
    built = replace(chips.HERMES, device=device, inputs=scheme, compensation=ColumnAffine(), adc=adc)
    whole = run(network, built, x, labels=y, threads=1)
    part = run(network, built, x[:30], threads=2)
    np.testing.assert_array_equal(part.outputs, whole.outputs[:30])
    assert whole.accuracy > 0.85


def test_a_voltage_beyond_the_curve_is_refused():
    with pytest.raises(InputError, match=r"v_read is 0.6 V; the I-V curve of RramMilo2021 holds up to 0.5 V"):
        chip(RramMilo2021(), dac=Dac(v_read=0.6))
    with pytest.raises(InputError, match="with cells that are not ohmic is not modelled; use Dac"):
        chip(RramMilo2021(), dac=Dac(noise=0.5))
    with pytest.raises(InputError, match=r"falls at -0\.5 V"):
        CubicCell(Ideal(), third=-2.0)
    with pytest.raises(InputError, match=r"falls at -0\.275 V"):
        Cubic(second=4.4, third=16 / 3, highest_volts=0.5)
    with pytest.raises(InputError, match="I-V curve of its own"):
        CubicCell(RramMilo2021(), third=-0.25)


def test_wrappers_pass_the_curve_on():
    cell = CubicCell(Generic(noise=NormalNoise(1e-6)), third=-0.25)
    for wrapped in (
        WithReadNoise(cell, (WhiteNoise(1e-7),)),
        Faulty(cell, stuck_on=0.1),
        WriteVerified(cell, 1e-6),
        Faulty(WriteVerified(WithReadNoise(RramMilo2021(), (WhiteNoise(1e-7),)), 1e-6)),
    ):
        assert wrapped.iv is not None
        volts = np.array([-0.3, 0.2])
        inner = cell if "Milo" not in repr(wrapped) else RramMilo2021()
        np.testing.assert_array_equal(wrapped.iv.current(1e-4, volts), inner.iv.current(1e-4, volts))
    assert cell.iv.effective_conductance(1e-4, 0.4) == pytest.approx(1e-4 * (1 - 0.25 * 0.16))


def test_the_noise_budget_tells_the_curve_apart():
    """I = G (V + b V^3) in PulseWidth: every sum is off by b v^2, and by nothing else here."""
    network = dense(True)
    x = np.random.default_rng(5).uniform(-1, 1, (20, 37)).astype(np.float32)
    bent = chip(CubicCell(Ideal(), third=-0.4), inputs=PulseWidth())
    row = noise_budget(network, bent, x, trials=1).errors["fc"]
    assert row["I-V curve"] == pytest.approx(0.4 * 0.5**2, rel=1e-4)
    assert row["together"] == row["I-V curve"] and row["programming"] == row["ADC"] == 0
    assert "I-V curve" not in noise_budget(network, replace(bent, device=Ideal()), x, trials=1).errors["fc"]
