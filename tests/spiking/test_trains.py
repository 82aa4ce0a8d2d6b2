"""Spike trains as the input of a spiking network: against encoders that fire the same spikes, and against Brian2."""

import numpy as np
import pytest

from neuroemu import chips, datasets, load, place, run, save, to_spiking
from neuroemu.errors import InputError
from neuroemu.network import Conv2d, Dense, Encode, Flatten, Grid, Lif, Network, relu, sequential
from neuroemu.spiking import LOIHI1, engine
from neuroemu.spiking.populations import populations

STEPS, GRID = 12, {"input": Grid(1.0, -128)}
TRAIN, DIRECT = (
    Encode(name="in", coding="spikes"),
    Encode(name="in", coding="direct", code_max=255, threshold=254 * 64),
)


def network(encode, input_shape, seed=0):
    """Encode - convolution - Lif - Dense - Lif - Dense - read-out."""
    random = np.random.default_rng(seed)

    def codes(*shape):
        return random.integers(-60, 90, shape).astype(np.int8)

    layers = (
        encode,
        Conv2d(name="conv", weight=codes(4, 2, 3, 3), weight_grid=Grid(0.01), stride=2, padding=1),
        Lif(name="lif1", threshold=64 * 200, bias=128, current_decay=2000, voltage_decay=100),
        Flatten(name="flat"),
        Dense(name="hidden", weight=codes(7, 36), weight_grid=Grid(0.01)),
        Lif(name="lif2", threshold=64 * 300, weight_shift=7, refractory=2, reset="subtract"),
        Dense(name="out", weight=codes(3, 7), weight_grid=Grid(0.01)),
        Lif(name="potential", threshold=None, weight_shift=6),
    )
    return Network(layers=layers, input_shape=input_shape, grids=GRID, steps=STEPS)


def dense(**lif):
    random = np.random.default_rng(3)
    weight = random.integers(-60, 90, (9, 5)).astype(np.int8)
    layers = (
        TRAIN,
        Dense(name="fc", weight=weight, weight_grid=Grid(0.01)),
        Lif(name="lif", **{"threshold": 64 * 150, "current_decay": 1500, "voltage_decay": 300} | lif),
        Dense(name="out", weight=np.ones((1, 9), np.int8), weight_grid=Grid(0.01)),
        Lif(name="potential", threshold=None),
    )
    return Network(layers=layers, input_shape=(STEPS, 5), grids=GRID, steps=STEPS)


def fired(x):
    """Spikes (B, T, ...) of the compartments that DIRECT stands for."""
    v, spikes = np.zeros(x.shape, np.int64), []
    for _ in range(STEPS):
        v += x.astype(np.int64) * 64
        spikes.append(v > DIRECT.threshold)
        v[spikes[-1]] = 0
    return np.stack(spikes, axis=1)


def test_a_train_drives_the_layers_as_the_encoder_that_fires_it():
    x = np.random.default_rng(1).integers(0, 256, (5, 2, 6, 6)).astype(np.float32)
    train = fired(x)
    direct = run(network(DIRECT, (2, 6, 6)), chips.LOIHI, x)
    given = run(network(TRAIN, (STEPS, 2, 6, 6)), chips.LOIHI, train)
    np.testing.assert_array_equal(given.outputs, direct.outputs)
    assert given.traces["spikes per image"] == direct.traces["spikes per image"]
    assert 0 < given.traces["spikes per image"]["hidden"] < 7 * STEPS
    counted, expected = given.counts.by_layer(), direct.counts.by_layer()
    for layer in ("conv", "hidden", "out"):
        assert {k: counted[layer][k] for k in ("synaptic_op", "neuron_update_active")} == {
            k: expected[layer][k] for k in ("synaptic_op", "neuron_update_active")
        }
    assert counted["in"]["input_spike"] == train.sum()  # no compartment fires them: they come from outside
    assert {site.layer for site in place(network(TRAIN, (STEPS, 2, 6, 6)), chips.LOIHI).sites} == {
        "conv", "hidden", "out",
    }  # fmt: skip


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_a_core_in_brian2_fires_the_same_spikes(reset):
    brian2 = pytest.importorskip("brian2")
    from neuroemu.spiking import LoihiCore

    net = dense(reset=reset)
    train = np.random.default_rng(2).random((1, STEPS, 5)) < 0.5
    codes = engine.input_codes(net, train.astype(np.float32))
    found = engine.run_batch(populations(net), codes, STEPS, LOIHI1, seed=0, trial=0, first=0, threads=1)[1]

    brian2.start_scope()
    times, indices = np.nonzero(train[0])
    source = brian2.SpikeGeneratorGroup(5, indices, times * brian2.ms, dt=1 * brian2.ms)
    core = LoihiCore(
        9, threshold_mantissa=150, current_decay=1500, voltage_decay=300, reset=reset, dt=1 * brian2.ms
    )  # fmt: skip
    # Twice the code with exponent 0: 64 * 2 * code, which is the code shifted by 7.
    connection = core.connect(source, 2 * net.layer("fc").weight.T.astype(int))
    monitor = brian2.SpikeMonitor(core)
    brian2.Network(source, core, connection, monitor).run((STEPS + 1) * brian2.ms)
    seen = np.zeros((STEPS, 9), bool)
    seen[np.rint(monitor.t / brian2.ms).astype(int) - 1, monitor.i] = True  # a spike arrives one step later
    np.testing.assert_array_equal(found[1].spikes[0].astype(bool), seen)
    assert 0 < seen.sum() < seen.size


def test_events_of_a_file_run_on_a_chip():
    random = np.random.default_rng(4)
    trains = []
    for _ in range(2):
        x, y, polarity = random.integers(0, (6, 6, 2), (300, 3)).T
        events = datasets.Events(x, y, polarity, np.sort(random.integers(0, STEPS * 1000, 300)))
        trains.append(events.to_steps(dt=1e-3, steps=STEPS, shape=(2, 6, 6)))
    result = run(network(TRAIN, (STEPS, 2, 6, 6)), chips.LOIHI, np.stack(trains), labels=[0, 1])
    assert result.counts.by_layer()["in"]["input_spike"] == np.sum(trains)
    assert result.outputs.shape == (2, 3) and result.warnings == ()


def test_batches_threads_and_trials_change_no_bit():
    net, x = dense(), np.random.default_rng(5).random((40, STEPS, 5)) < 0.4
    whole = run(net, chips.LOIHI, x, threads=2, trials=3)
    assert whole.n_trials == 1  # nothing is drawn
    np.testing.assert_array_equal(whole.outputs[33:35], run(net, chips.LOIHI, x[33:35], threads=1).outputs)


def test_a_saved_network_takes_the_same_trains(tmp_path):
    net, x = dense(), np.random.default_rng(6).random((3, STEPS, 5)) < 0.4
    save(net, tmp_path / "net.npz")
    np.testing.assert_array_equal(
        run(load(tmp_path / "net.npz"), chips.LOIHI, x).outputs, run(net, chips.LOIHI, x).outputs
    )


@pytest.mark.parametrize(
    "made, says",
    [
        (lambda: run(dense(), chips.LOIHI, np.full((1, STEPS, 5), 0.5)), "train of 0 and 1, x holds 0.5"),
        (lambda: run(dense(), chips.LOIHI, np.ones((STEPS, 3, 5))), "takes (batch, 12, 5)"),
        (lambda: dense().replace(steps=9), "spike train of 12 steps, the network runs 9"),
        (lambda: dense().replace(input_shape=(5,), steps=5), "a spike train has shape (steps, neurons)"),
        (lambda: to_spiking(FLOAT, steps=8, samples=np.ones((1, 3)), coding="spikes"), "coding is 'spikes'"),
    ],
)
def test_what_is_refused(made, says):
    with pytest.raises(InputError) as error:
        made()
    assert says in str(error.value)


FLOAT = sequential([Dense(name="d", weight=np.ones((2, 3))), relu(name="r")], input_shape=(3,))
