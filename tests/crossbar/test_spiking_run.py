"""Spiking networks on crossbars: equal to a spiking core where nothing is lost; counts, times, seeds and refusals."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu import chips, place, quantize, run, to_spiking
from neuroemu.crossbar import (
    Adc,
    AnalogNeurons,
    Averaged,
    BatchNorm,
    BitSliced,
    ColumnAffine,
    ColumnGain,
    CrossbarChip,
    Dac,
    DifferentialPair,
    DigitalNeurons,
    HeavyRows,
    IdealAdc,
    NoCompensation,
    OffsetColumn,
    ReferenceColumns,
    Significance,
    TileGain,
    Wires,
    ideal,
    program,
)
from neuroemu.crossbar.engine import LayerEngine
from neuroemu.devices import CubicCell, Generic, HermesPcm, Ideal
from neuroemu.devices.base import ReadShares
from neuroemu.energy import CostTable
from neuroemu.errors import InputError, NeuroemuError, PlacementError
from neuroemu.network import (
    Add,
    Concat,
    Conv2d,
    Dense,
    Encode,
    Flatten,
    GlobalAveragePool,
    Grid,
    Lif,
    Network,
    relu,
    sequential,
)

KINDS = (
    "core_read word_line_pulse adc_conversion adc_clip digital_accumulate neuron_update array_nanosiemens "
    "column_integration comparator_decision capacitor_reset dac_drive activation_op"
).split()
FREE = CostTable(free={kind: "test" for kind in KINDS})
STEPS = 12


def values(n, seed=1):
    return np.random.default_rng(seed).random((n, 2, 6, 6)).astype(np.float32)


def trained(seed=0):
    rng = np.random.default_rng(seed)
    conv = rng.normal(0.02, 0.3, (5, 2, 3, 3)).astype(np.float32)
    return sequential(
        [
            Conv2d(name="conv", weight=conv, bias=rng.normal(0, 0.1, 5).astype(np.float32), stride=(2, 2)),
            relu(name="r"),
            Flatten(name="f"),
            Dense(name="fc", weight=rng.normal(0, 0.3, (7, 20)).astype(np.float32)),
            relu(name="r2"),
            Dense(name="out", weight=rng.normal(0, 0.3, (4, 7)).astype(np.float32)),
        ],
        input_shape=(2, 6, 6),
    )


def spiking(**fields):
    return to_spiking(trained(), **{"steps": STEPS, "samples": values(40, seed=9)} | fields)


NET, X = spiking(reset="subtract"), values(9)


def chip(**fields):
    given = {"name": "tiny", "costs": FREE, "rows": 8, "columns": 6, "device": Ideal(), "dac": Dac(v_read=0.3)}
    return CrossbarChip(**given | {"adc": IdealAdc()} | fields)


MAPPINGS = [
    DifferentialPair(), DifferentialPair("two", "column"), OffsetColumn(), OffsetColumn(reference="digital"),
    Averaged(2), BitSliced(1), BitSliced(3, signs="offset"), Significance((1, 8)),
]  # fmt: skip


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("coding", ["direct", "poisson"])
def test_without_loss_outputs_are_those_of_a_spiking_core(reset, coding):
    net = spiking(reset=reset, coding=coding)
    core = run(net, chips.LOIHI, X, seed=3)
    assert core.traces["spikes per image"]["fc"] > 1
    for neurons in (DigitalNeurons(), AnalogNeurons().ideal()):
        found = run(net, chip(neurons=neurons), X, seed=3)
        np.testing.assert_array_equal(found.outputs, core.outputs)
        assert list(found.traces["spikes per image"].values()) == list(core.traces["spikes per image"].values())[:-1]


@pytest.mark.parametrize("mapping", MAPPINGS, ids=str)
def test_every_mapping_holds_the_same_weights(mapping):
    wanted = run(NET, chips.LOIHI, X).outputs
    found = run(NET, chip(mapping=mapping, row_order=HeavyRows(), adc=Adc(bits=16)), X)
    np.testing.assert_allclose(found.outputs, wanted, atol=0.02 * np.abs(wanted).max())
    if not isinstance(mapping, Significance):
        np.testing.assert_array_equal(run(NET, chip(mapping=mapping), X).outputs, wanted)


def test_enough_bits_lose_nothing():
    """A step of the converter that is a weight code, with codes for all sums, rounds nothing."""
    from neuroemu.crossbar import GivenRange

    device = Ideal(g_max=10e-6)
    full = 0.3 * device.g_max / 127 * (2**13 - 1)  # amperes of 2^13 - 1 weight codes
    found = run(NET, chip(device=device, adc=Adc(bits=14, range=GivenRange(full))), X)
    np.testing.assert_array_equal(found.outputs, run(NET, chips.LOIHI, X).outputs)


def test_the_embedded_network_equals_the_core():
    from neuroemu import datasets

    net = datasets.mnist_network()
    x, _ = datasets.mnist_test(8)
    snn = to_spiking(quantize(net, samples=net.samples[:64]), steps=8, samples=net.samples[:8], reset="subtract")
    np.testing.assert_array_equal(run(snn, ideal(chips.HERMES), x).outputs, run(snn, chips.LOIHI, x).outputs)


class SlowNoise(Generic):
    """Read noise that lasts for an image: none of it fresh, none frozen."""

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        return ReadShares(fresh=0.0, slow=1.0, frozen=0.0)


def rough(**fields):
    """A chip with all that is random: cells that drift and are noisy, converters, comparators."""
    given = {"device": HermesPcm(), "seconds": 3600.0, "adc": Adc(bits=7, noise=0.3, offset_spread=0.5)}
    return chip(**given | fields)


ROUGH = [
    rough(neurons=DigitalNeurons()),
    rough(neurons=AnalogNeurons(noise=5e-3, offset=0.01, capacitance_spread=0.03, leak_seconds=1e-4)),
]


@pytest.mark.parametrize("machine", ROUGH, ids=["digital", "analog"])
def test_no_result_depends_on_batches_or_threads(machine, monkeypatch):
    from neuroemu.network import ops

    first = run(NET, machine, X, seed=5, trials=2, threads=1)
    whole = first.trial_outputs
    assert not np.array_equal(whole[0], whole[1])
    np.testing.assert_array_equal(run(NET, machine, X, seed=5, trials=2, threads=3).trial_outputs, whole)
    np.testing.assert_array_equal(run(NET, machine, X[:4], seed=5, trials=2).trial_outputs, whole[:, :4])
    monkeypatch.setattr(ops, "BLOCK_BYTES", 1)  # one image at a time
    again = run(NET, machine, X, seed=5, trials=2, threads=1)
    np.testing.assert_array_equal(again.trial_outputs, whole)
    assert again.counts == first.counts
    assert not np.array_equal(run(NET, machine, X, seed=6).outputs, whole[0])


@pytest.mark.parametrize("machine", ROUGH, ids=["digital", "analog"])
def test_a_programmed_chip_is_one_trial_and_keeps_its_comparators(machine):
    made = program(NET, machine, seed=5, trial=1)
    two = run(NET, machine, X, seed=5, trials=2).trial_outputs
    np.testing.assert_array_equal(run(NET, program(NET, machine, seed=5), X, seed=5).outputs, two[0])
    quiet = replace(machine, device=Ideal(), adc=IdealAdc())
    if isinstance(machine.neurons, AnalogNeurons):
        quiet = replace(quiet, neurons=replace(machine.neurons, noise=0.0))
        made = program(NET, quiet, seed=5, trial=1)
        # Nothing but offsets and capacitors is left, which do not depend on the seed of a run.
        np.testing.assert_array_equal(run(NET, made, X, seed=1).outputs, run(NET, made, X, seed=2).outputs)
        assert not np.array_equal(run(NET, made, X).outputs, run(NET, program(NET, quiet, seed=6), X).outputs)
    assert run(NET, made.at(1e6), X, seed=5).notes != run(NET, made, X, seed=5).notes


@pytest.mark.parametrize("device, alike", [(SlowNoise(read_noise=0.3), True), (Generic(read_noise=0.3), False)])
def test_noise_that_lasts_for_an_image_is_one_draw_for_all_steps(device, alike, monkeypatch):
    """Inputs that spike in every step: the sums of one layer move from step to step with fresh noise alone."""
    seen, read = [], LayerEngine.read

    def recorded(engine, x, first):
        seen.append(read(engine, x, first))
        return seen[-1]

    monkeypatch.setattr(LayerEngine, "read", recorded)
    plain = sequential([Dense(name="one", weight=np.random.default_rng(0).normal(0, 1, (4, 6)))], input_shape=(6,))
    net = to_spiking(plain, steps=STEPS, samples=np.random.default_rng(1).random((8, 6)), coding="poisson")
    run(net, chip(device=device), np.full((2, 6), 10.0), threads=1)
    by_step = seen[0]
    assert by_step.shape == (2, STEPS, 4)
    assert (by_step[:, :1] == by_step).all() == alike
    assert not np.array_equal(by_step[0], by_step[1])


def by_hand(net, x):
    """Spikes (B, T, ...) that drive each weighted layer, from exact sums."""
    from neuroemu.crossbar.spiking_graph import exact_sums, rows_of, run_spikes

    rows = {}

    def multiply(layer, spikes, first):
        rows[layer.name] = rows_of(layer, spikes)
        return exact_sums(layer, rows[layer.name])

    def fire(lif, sums, first):
        from neuroemu.crossbar.neurons import Fed

        return DigitalNeurons().fire(lif, sums, first, Fed())[0]

    run_spikes(net, x, 0, multiply=multiply, fire=fire, seed=0, trial=0, seen=lambda *_: None)
    return rows


def test_counts_are_those_of_the_spikes_and_the_tiles():
    rows, machine = by_hand(NET, X), chip(adc=Adc(bits=16))
    found = run(NET, machine, X)
    sites = place(NET, machine).sites
    for layer in NET.weighted:
        tiles = [site for site in sites if site.layer == layer.name]
        driven = rows[layer.name].sum(axis=(0, 1, 2))
        pulses = sum(int(driven[slice(*site.rows)].sum()) for site in tiles)
        reads = rows[layer.name].size // rows[layer.name].shape[-1]
        columns = sum(site.columns[1] - site.columns[0] for site in tiles)
        assert found.counts[layer.name, "word_line_pulse"] == pulses
        assert found.counts[layer.name, "adc_conversion"] == reads * columns
        assert found.counts[layer.name, "core_read"] == reads * len(tiles)
        additions = reads * (columns - len(layer.weight))  # over row tiles
        assert found.counts.get((layer.name, "digital_accumulate"), 0) == additions
    assert found.counts.total("digital_accumulate") > 0
    for lif in (layer for layer in NET.layers if isinstance(layer, Lif | Encode)):
        assert found.counts[lif.name, "neuron_update"] == np.prod(NET.shapes[lif.name]) * STEPS * len(X)


def test_counts_of_analog_neurons():
    rows, machine = by_hand(NET, X), chip(neurons=AnalogNeurons().ideal(), device=Ideal(g_min=1e-6, g_max=10e-6))
    found = run(NET, machine, X)
    for layer in NET.weighted:
        codes = layer.weight.reshape(len(layer.weight), -1).T.astype(float)
        siemens = (2 * 1e-6 + np.abs(codes) / 127 * 9e-6).sum(axis=1)  # of both cells of each pair
        driven = rows[layer.name].sum(axis=(0, 1, 2)) @ siemens
        assert found.counts[layer.name, "array_nanosiemens"] == pytest.approx(driven * 1e9, rel=1e-6)
        assert (layer.name, "adc_conversion") not in found.counts
    spikes = found.traces["spikes per image"]
    for lif in (layer for layer in NET.layers if isinstance(layer, Lif)):
        neurons = int(np.prod(NET.shapes[lif.name])) * len(X)
        if lif.threshold is not None:
            assert found.counts[lif.name, "comparator_decision"] == neurons * STEPS
            assert found.counts[lif.name, "capacitor_reset"] == neurons + round(spikes[lif.name] * len(X))
    machine = replace(machine, neurons=AnalogNeurons())
    assert run(NET, machine, X).counts[NET.output, "adc_conversion"] == 4 * len(X)


def test_one_more_spike_is_counted():
    silent = np.zeros((1, 2, 6, 6), np.float32)
    lit = silent.copy()
    lit[0, 0, 1, 1] = 1.0
    counts = [run(NET, chip(), x).counts["conv", "word_line_pulse"] for x in (silent, lit)]
    assert counts[0] == 0 < counts[1]


def test_steps_take_the_time_of_the_slowest_layer():
    net, read = NET, 2e-7
    digital = chip(read_seconds=read, adc=Adc(bits=8, conversion_seconds=1e-8, columns_per_converter=3))
    found = run(net, digital, X[:1])
    step = 4 * (read + 3 * 1e-8)  # four positions of the convolution
    assert found.latency_per_inference == pytest.approx(step * (STEPS + 3))
    assert found.throughput == pytest.approx(1 / (step * STEPS))
    neurons = AnalogNeurons(pulse_seconds=3e-8, compare_seconds=1e-8)
    found = run(net, replace(digital, neurons=neurons), X[:1])
    assert found.latency_per_inference == pytest.approx(4 * 4e-8 * (STEPS + 3))


def test_capacitors_fit_their_thresholds_or_the_other_way_round():
    """V_th C = charge of the threshold: v_read (g_max - g_min) / 127 t a weight code."""
    neurons = AnalogNeurons(threshold_volts=0.4, pulse_seconds=5e-8, rails=(-1e9, 1e9), readout_bits=None)
    machine = chip(neurons=neurons, device=Ideal(g_min=1e-6, g_max=10e-6))
    found = run(NET, machine, X)
    lif = next(layer for layer in NET.layers if isinstance(layer, Lif))
    charge = lif.threshold / 2**lif.weight_shift * 0.3 * 9e-6 / 127 * 5e-8
    assert found.traces["capacitance"][lif.name] == pytest.approx(charge / 0.4)
    given = replace(machine, neurons=replace(neurons, capacitance=found.traces["capacitance"][lif.name]))
    np.testing.assert_array_equal(run(NET, given, X).outputs, found.outputs)
    with pytest.raises(PlacementError, match="use a larger capacitance"):
        run(NET, replace(machine, neurons=AnalogNeurons(capacitance=1e-18)), X)


def test_gains_of_tiles_undo_drift_in_front_of_capacitors():
    """Cells that have lost 20 % alike: pulses that are longer by it give back every spike."""
    device = Generic(drift_exponent=0.02, t0=1.0, g_max=20e-6)
    neurons, wanted = AnalogNeurons().ideal(), run(NET, chips.LOIHI, X).outputs
    aged = chip(device=device, seconds=1e5, neurons=neurons)
    assert not np.allclose(run(NET, aged, X).outputs, wanted, rtol=0.05)
    for rule in (TileGain(), ReferenceColumns()):
        held = run(NET, replace(aged, compensation=rule), X).outputs
        assert np.abs(held - wanted).max() < 0.05 * np.abs(wanted).max()


@pytest.mark.parametrize("rule", [ColumnGain(), ColumnAffine(), TileGain()])
def test_digital_neurons_take_gains_and_offsets(rule):
    wanted = run(NET, chips.LOIHI, X).outputs
    aged = chip(device=Generic(drift_exponent=0.02, t0=1.0), seconds=1e5, adc=Adc(bits=12))
    lost, held = (run(NET, replace(aged, compensation=r), X).outputs for r in (NoCompensation(), rule))
    assert np.abs(held - wanted).mean() < 0.3 * np.abs(lost - wanted).mean()


def test_pulses_of_one_height_see_one_point_of_a_curve():
    """Cells that are not ohmic conduct all alike at the full read voltage: a gain brings every spike back."""
    curved = chip(device=CubicCell(Ideal(), third=-0.9), dac=Dac(v_read=0.5), compensation=TileGain())
    wanted = run(NET, chips.LOIHI, X).outputs
    for neurons in (DigitalNeurons(), AnalogNeurons().ideal()):
        np.testing.assert_allclose(run(NET, replace(curved, neurons=neurons), X).outputs, wanted, rtol=1e-5, atol=1e-5)
    bare = run(NET, replace(curved, compensation=NoCompensation()), X).outputs
    assert not np.allclose(bare, wanted, rtol=0.05)


def test_cells_of_single_bits_count_the_same_pulses(monkeypatch):
    from neuroemu.crossbar.binary import BinaryPart

    used, read = [], BinaryPart.read
    monkeypatch.setattr(BinaryPart, "read", lambda *given: used.append(1) or read(*given))
    pulses = by_hand(NET, X)["conv"].sum(axis=(0, 1, 2))
    machine = chip(mapping=BitSliced(1), adc=Adc(bits=12))
    sites = [site for site in place(NET, machine).sites if site.layer == "conv"]
    found = run(NET, machine, X).counts["conv", "word_line_pulse"]
    assert used and found == sum(int(pulses[slice(*site.rows)].sum()) for site in sites)


def residual():
    """An addition, a concatenation and a pool, in real numbers."""
    rng = np.random.default_rng(6)

    def conv(name, source, reads, size, **more):
        weight = rng.normal(0.05, 0.5 / size, (4, reads, size, size))
        return Conv2d(name=name, inputs=(source,), weight=weight, bias=rng.normal(0, 0.05, 4), **more)

    layers = (
        conv("c0", "input", 2, 3), relu(name="r0"), conv("c1", "r0", 4, 3, padding=1),
        Add(name="add", inputs=("r0", "c1")), relu(name="r1"),
        Concat(name="both", inputs=("r1", "r0")), GlobalAveragePool(name="mean", keep_dims=False),
        Dense(name="out", weight=rng.normal(0, 0.4, (3, 8))),
    )  # fmt: skip
    return Network(layers=layers, input_shape=(2, 6, 6))


def test_additions_and_joins_are_those_of_the_core():
    net = to_spiking(residual(), steps=10, samples=values(12), reset="subtract")
    core = run(net, chips.LOIHI, X)
    for neurons in (DigitalNeurons(), AnalogNeurons().ideal()):
        np.testing.assert_array_equal(run(net, chip(neurons=neurons), X).outputs, core.outputs)


def test_spike_trains_enter_as_they_are():
    rng = np.random.default_rng(8)
    first, *rest = to_spiking(trained(), steps=STEPS, samples=values(8)).layers
    net = Network(layers=(Encode(name=first.name, coding="spikes"), *rest), input_shape=(STEPS, 2, 6, 6), steps=STEPS,
                  grids={"input": Grid(1.0, -128)})  # fmt: skip
    x = (rng.random((5, STEPS, 2, 6, 6)) < 0.4).astype(np.float32)
    found = run(net, chip(), x)
    np.testing.assert_array_equal(found.outputs, run(net, chips.LOIHI, x).outputs)
    assert (first.name, "neuron_update") not in found.counts
    with pytest.raises(InputError, match="spike train of 0 and 1"):
        run(net, chip(), x / 2)


def test_layers_that_add_up_in_one_neuron():
    """Two projections into one Lif are the projection of both."""
    rng = np.random.default_rng(4)
    grid, lif = Grid(scale=0.01), {"threshold": 9_000, "weight_shift": 6, "reset": "subtract"}
    codes, last = (rng.integers(-127, 128, shape).astype(np.int8) for shape in ((6, 5), (3, 6)))
    even = np.arange(5) % 2 == 0

    def net(*middle):
        layers = (
            Encode(name="encode", coding="direct", code_max=255, threshold=9_000),
            *middle,
            Lif(name="lif", **lif),
            Dense(name="out", weight=last, weight_grid=grid),
            Lif(name="end", threshold=None),
        )
        grids = {"input": Grid(scale=1.0, zero_point=-128)}
        return Network(layers=layers, input_shape=(5,), grids=grids, steps=20, samples=rng.random((8, 5)) * 255)

    def part(name, where):
        return Dense(name=name, weight=codes * where.astype(np.int8), weight_grid=grid, inputs=("encode",))

    whole = net(part("a", even | ~even))
    split = net(part("a", even), part("b", ~even), Add(name="sum", inputs=("a", "b")))
    x = rng.random((6, 5)) * 255
    for neurons in (DigitalNeurons(), AnalogNeurons().ideal()):
        found = run(whole, chip(neurons=neurons), x)
        assert found.traces["spikes per image"]["lif"] > 5
        np.testing.assert_array_equal(run(split, chip(neurons=neurons), x).outputs, found.outputs)


def test_wires_and_converters_with_flaws_run():
    from neuroemu.crossbar import Cco

    machine = chip(wires=Wires(word_line=2.0, bit_line=2.0), adc=Adc(bits=8, kind=Cco(compression=0.1)),
                   device=Ideal(g_max=50e-6))  # fmt: skip
    found = run(NET, machine, X)
    assert set(found.traces["current lost in wires"]) == {"conv", "fc", "out"}
    assert not np.array_equal(found.outputs, run(NET, chip(), X).outputs)


@pytest.mark.parametrize("name", ["HERMES", "HERMES_4PHASE", "IBM34", "ISAAC", "NEURRAM", "PUMA"])
def test_published_crossbars_run_spikes_with_their_own_prices(name):
    found = run(NET, getattr(chips, name), X)
    assert found.energy_per_inference > 0 and not found.energy.missing
    assert "dac_drive" not in found.counts.kinds()


@pytest.mark.parametrize("machine", [chips.PCM_NEURONS, chips.RERAM_NEURONS], ids=lambda c: c.name)
def test_analog_neurons_have_a_price_for_every_part(machine):
    found = run(NET, machine, X)
    array = sum(line.joules for line in found.energy.lines if line.cost.event == "array_nanosiemens")
    pulse, volts = machine.neurons.pulse_seconds, machine.dac.v_read
    siemens = 1e-9 * found.counts.total("array_nanosiemens")
    assert array == pytest.approx(siemens * volts**2 * pulse)
    assert any("offset" in text for text in found.warnings) and any("leak" in text for text in found.warnings)
    flawed = replace(machine, neurons=replace(machine.neurons, offset=1e-3, noise=1e-3, leak_seconds=1e-2))
    assert not any("comparators" in text for text in run(NET, flawed, X).warnings)


def test_the_chip_says_what_its_neurons_are():
    assert "AnalogNeurons" in chips.PCM_NEURONS.describe() and "DigitalNeurons" in chips.HERMES.describe()


def test_warnings_of_rails_and_silence():
    low = AnalogNeurons(rails=(-0.5, 0.5001))
    assert any("met a limit" in text for text in run(NET, chip(neurons=low), X).warnings)
    dark = np.zeros_like(X)
    silent = NET.replace(layers=tuple(replace(v, bias=0) if isinstance(v, Lif) else v for v in NET.layers))
    assert any("no neuron spiked" in text for text in run(silent, chip(), dark).warnings)


def remembering(net):
    return net.replace(
        layers=tuple(replace(v, current_decay=100) if isinstance(v, Lif) else v for v in net.layers)
    )  # fmt: skip


ANALOG = AnalogNeurons()


@pytest.mark.parametrize(
    "net, machine, words",
    [
        (trained(), chip(), "is float"),
        (NET, chip(compensation=BatchNorm(), adc=Adc()), "use ColumnAffine"),
        (NET, chip(neurons=ANALOG, compensation=ColumnAffine()), "AnalogNeurons get currents"),
        (NET, chip(neurons=ANALOG, mapping=BitSliced(2)), "adds columns up with numbers"),
        (NET, chip(neurons=ANALOG, mapping=OffsetColumn(reference="digital")), "adds columns up with numbers"),
        (NET, chip(neurons=ANALOG, mapping=DifferentialPair(scaling="column")), "adds columns up with numbers"),
        (remembering(NET), chip(neurons=ANALOG), "one capacitor"),
        (NET.replace(layers=NET.layers[:-1]), chip(), "does not end with a Lif"),
        (NET.replace(layers=(*NET.layers[:2], Flatten(name="early"))), chip(), "has no place in a spiking network"),
        (NET.replace(samples=None), chip(adc=Adc()), "carries no samples"),
        (NET.replace(samples=None), chip(neurons=ANALOG), "carries no samples"),
        (NET, chip(cores=2), "needs"),
    ],
)
def test_refusals_say_what_to_do(net, machine, words):
    with pytest.raises(NeuroemuError, match=words):
        run(net, machine, X)


def test_synaptic_currents_with_memory_run_digitally():
    net = remembering(NET)
    np.testing.assert_array_equal(run(net, chip(), X).outputs, run(net, chips.LOIHI, X).outputs)


def test_neurons_are_a_part():
    with pytest.raises(NeuroemuError, match="neurons must be a Neurons"):
        chip(neurons="analog")
    with pytest.raises(InputError):
        AnalogNeurons(rails=(-1.0, -0.5))
