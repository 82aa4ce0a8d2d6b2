"""Whole chips drawn from all parts: each is refused with a remedy, or runs and keeps what every chip must keep."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroemu import chips, place, quantize, run, run_integer
from neuroemu import devices as dv
from neuroemu.crossbar import (
    Adc,
    Amplitude,
    Averaged,
    BalancedRows,
    BatchNorm,
    BitSerial,
    BitSliced,
    Cco,
    ColumnAffine,
    ColumnGain,
    CrossbarChip,
    Dac,
    DifferentialPair,
    ExplicitRows,
    Flash,
    GivenRange,
    GivenRows,
    HeavyRows,
    IdealAdc,
    IdealDac,
    Measured,
    MinMaxRange,
    MseRange,
    NoCompensation,
    OffsetColumn,
    PercentileRange,
    PulseWidth,
    Ramp,
    ReferenceColumns,
    Sar,
    Significance,
    TileGain,
    Uniform,
    Wires,
    ideal,
    load_programmed,
    program,
)
from neuroemu.crossbar.building import engines_of, program_cells
from neuroemu.devices import dynamics as dy
from neuroemu.errors import NeuroemuError
from neuroemu.network import Conv2d, Dense, Flatten, relu, sequential
from neuroemu.network.integer import exact_multiply

NOISY = dv.Generic(
    g_min=1e-6, noise=dv.NormalNoise(3e-7), read_noise=0.02, drift_exponent=0.03, drift_spread=0.01, t0=20.0
)
DRIFTING = dv.Generic(g_min=1e-6, noise=dv.NormalNoise(3e-7), drift_exponent=0.05)  # reads without noise
TRAPPED = dv.WithReadNoise(NOISY, (dv.TelegraphNoise(0.05), dv.FlickerNoise(0.01)))
DEVICES = {
    "cubic, stuck": dv.Faulty(dv.CubicCell(NOISY, third=-0.5), stuck_on=0.05, shorted_rows=0.1),
    "ideal": dv.Ideal(),
    "exact, with a floor": dv.Generic(g_min=2e-6),
    "Pcm": dv.Pcm(),
    "HermesPcm": dv.HermesPcm(),
    "RramWan2022": dv.RramWan2022(),
    "generic": NOISY,
    "read noise": TRAPPED,
    "cubic": dv.CubicCell(NOISY, third=0.5, second=0.1),
    "levels": dv.Levels(NOISY, 4),
    "verified": dv.WriteVerified(NOISY, tolerance=2e-7),
    "disturbed": dv.HalfSelectDisturb(NOISY, step=0.005, spread=0.3),
    "worn": dv.Endurance(NOISY, 1e6, 1.5, 3e5, stuck_on=0.3, stuck_off=0.3, window=(0.2, 0.9)),
    "stuck": dv.Faulty(TRAPPED, stuck_on=0.02, stuck_off=0.02, stuck_at=((0.01, 5e-6),), cluster_size=2.0),
    "touching": dv.Faulty(TRAPPED, stuck_off=0.02, open_rows=0.05, shorted_rows=0.1, shorted_columns=0.1),
    "repaired": dv.Faulty(dv.Pcm(), stuck_on=0.05, open_columns=0.05, spare_rows=2, spare_columns=2),
    "assigned": dv.Faulty(DRIFTING, stuck_on=0.05, shorted_columns=0.1, spare_columns=1, repair="assignment"),
    "dynamic": dv.DynamicCell(
        dy.VTEAM, dv.Pulse(-0.25, 1e-10), dv.Pulse(0.1, 8e-9), tolerance=5e-4, g_min=4e-3, g_max=10e-3, start=6e-3,
        max_pulses=30
    ),
}  # fmt: skip
PARTS = {
    "device": st.sampled_from(list(DEVICES.values())),
    "mapping": st.sampled_from(
        [
            DifferentialPair(), DifferentialPair(sided="two"), DifferentialPair(scaling="column"), OffsetColumn(),
            OffsetColumn("digital", "column"), BitSliced(1), BitSliced(2, "offset"), BitSliced(1, "offset"),
            Significance(), Significance((1, 4, 16), correct=True), Averaged(2),
            Averaged(2, Significance(correct=True)), Averaged(3, OffsetColumn()),
        ]
    ),
    "inputs": st.sampled_from(
        [Amplitude(), Amplitude("phases"), PulseWidth(), PulseWidth("phases"), BitSerial(1), BitSerial(3),
         BitSerial(1, "phases")]
    ),
    "dac": st.sampled_from([IdealDac(), Dac(), Dac(bits=5), Dac(noise=0.4), Dac(bits=6, inl=0.3)]),
    "adc": st.none() | st.fixed_dictionaries(
        {
            "bits": st.sampled_from([4, 8, 8]),
            "range": st.sampled_from(
                [PercentileRange(), MinMaxRange("column"), MseRange("layer"), GivenRange(1e-5),
                 GivenRange({"conv": 1e-5, "fc": 2e-5})]
            ),
            "noise": st.sampled_from([0.0, 0.3]),
            "offset_spread": st.sampled_from([0.0, 0.5]),
            "gain_spread": st.sampled_from([0.0, 0.02]),
            "kind": st.sampled_from(
                [Uniform(), Sar(0.02), Ramp(), Cco(compression=0.1), Flash(0.1),
                 Measured(np.linspace(0, 0.4, 255), assignment="random")]
            ),
            "columns_per_converter": st.sampled_from([1, 3]),
        }
    ),
    "compensation": st.sampled_from(
        [NoCompensation(), TileGain(), ColumnGain(), ColumnAffine(), ReferenceColumns(1), ReferenceColumns(3),
         BatchNorm()]
    ),
    "row_order": st.sampled_from(
        [GivenRows(), BalancedRows(), HeavyRows(), ExplicitRows({"fc": tuple(range(31, -1, -1))})]
    ),
    "wires": st.sampled_from([None, None, Wires(1.0, 2.0, source=20.0), Wires(0.0, 1.0, readout="both")]),
    "noise_in_wires": st.sampled_from(["exact", "first_order"]),
    "arithmetic": st.sampled_from(["float32", "float32", "float64"]),
    "rows": st.sampled_from([5, 20, 64]),
    "columns": st.sampled_from([4, 7, 40]),
    "seconds": st.sampled_from([0.0, 3600.0]),
}  # fmt: skip


def made_network(groups, low):
    random = np.random.default_rng(groups)
    conv = Conv2d(name="conv", weight=random.normal(0, 0.4, (8, 4 // groups, 3, 3)), stride=2, groups=groups)
    fc = Dense(name="fc", weight=random.normal(0, 0.2, (5, 32)), bias=random.normal(0, 0.1, 5))
    net = sequential([conv, relu(name="relu"), Flatten(name="flat"), fc], input_shape=(4, 5, 5))
    return quantize(net, samples=random.uniform(low, 1, (16, 4, 5, 5)))


NETWORKS = {(groups, low): made_network(groups, low) for groups in (1, 2, 4) for low in (0.0, -1.0)}
X = np.random.default_rng(1).uniform(-1, 1, (3, 4, 5, 5)).astype(np.float32)


def built(fields):
    fields = fields | {"adc": IdealAdc() if fields["adc"] is None else Adc(**fields["adc"])}
    return CrossbarChip(name="drawn", costs=chips.HERMES.costs, read_event="core_read_1phase", **fields)


def sums(network, chip, *, batch, threads, exactly_driven=False):
    """Sums of every layer before they are rounded to codes, and what exact cells give for the same drive."""
    cells = program_cells(chip, network, seed=3, trial=0)
    key = {"made": (3, 0), "seed": 3, "trial": 0, "threads": threads}
    engines = engines_of(chip, network, cells, chip.sampled_rows(network), **key)
    found, wanted = {}, {}

    def multiply(layer, drive, first):
        found.setdefault(layer.name, []).append(engines[layer.name].multiply(drive, first))
        wanted.setdefault(layer.name, []).append(exact_multiply(layer, drive, first))
        return (wanted if exactly_driven else found)[layer.name][-1]

    run_integer(network, X, multiply=multiply, batch=batch)
    return [[np.concatenate(parts) for parts in layers.values()] for layers in (found, wanted)]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(list(NETWORKS)), st.fixed_dictionaries(PARTS), st.booleans())
def test_any_chip_is_refused_with_a_remedy_or_runs(tmp_path_factory, network, fields, calibrated):
    network = NETWORKS[network]
    try:
        chip = built(fields)
        place(network, chip)
    except NeuroemuError as refused:
        assert any(word in str(refused) for word in ("use ", "give ")), refused
        return
    outputs = run(network, chip, X, seed=3, threads=2).outputs
    (whole, _), (split, _) = (sums(network, chip, batch=len(X) // n, threads=n) for n in (1, 2))
    for one, other in zip(whole, split, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, other)
    made = program(network, chip, seed=3)
    made = made.calibrated(seed=3) if calibrated else made
    path = tmp_path_factory.mktemp("chips") / "chip.npz"
    made.save(path)
    loaded = load_programmed(path, network, chip)
    np.testing.assert_array_equal(run(network, loaded, X, seed=3, threads=1).outputs, outputs)
    np.testing.assert_array_equal(run(network, ideal(chip), X).outputs, run_integer(network, X))


EXACT = {
    "device": st.sampled_from(
        [
            dv.Ideal(), dv.Generic(g_min=2e-6), dv.CubicCell(dv.Generic(g_min=2e-6), third=0.0),
            dv.Faulty(dv.Generic(g_min=2e-6), spare_columns=2, repair="assignment"), dv.Levels(dv.Ideal(), 65536),
            dv.WithReadNoise(dv.Generic(g_min=2e-6), (dv.TelegraphNoise(1e-7),)),
        ]
    ),
    "dac": st.sampled_from([IdealDac(), Dac(bits=9)]),
    "adc": st.none() | st.just({"bits": 20, "range": GivenRange(4e-4)}),
    "wires": st.sampled_from([None, None, Wires(1e-5, 1e-5, source=1e-5)]),
    "seconds": st.sampled_from([0.0, 3600.0]),
}  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(list(NETWORKS)), st.fixed_dictionaries(PARTS | EXACT))
def test_parts_without_errors_give_the_exact_sums(network, fields):
    """Whatever holds the weights, drives the rows and corrects the sums; only rounding and a fine ADC are left."""
    network = NETWORKS[network]
    try:
        chip = built(fields)
        place(network, chip)
    except NeuroemuError:
        return
    layers = sums(network, chip, batch=len(X), threads=2, exactly_driven=True)
    for found, wanted in zip(*layers, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=5e-3 * np.abs(wanted).max())
