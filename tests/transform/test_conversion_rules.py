"""Rules of the conversion: balances, first spikes, pooling by the largest, and the correction of biases."""

import numpy as np
import pytest

from neuroemu import (
    AveragePooling,
    MaxBalance,
    MseBalance,
    OrPooling,
    PercentileBalance,
    QcfsBalance,
    chips,
    place,
    quantize,
    run,
    run_float,
    run_integer,
    to_spiking,
)
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Conv2d, Dense, Flatten, MaxPool2d, relu, sequential
from neuroemu.spiking.arithmetic import LOIHI1
from neuroemu.spiking.engine import input_codes, run_batch
from neuroemu.spiking.populations import populations
from neuroemu.transform.balance import Layer
from neuroemu.transform.firing import Firing

SUBTRACT = Firing("subtract")


def images(n, seed=0):
    random = np.random.default_rng(seed)
    return (random.uniform(0, 255, (n, 2, 8, 8)) * (random.random((n, 2, 8, 8)) < 0.5)).astype(np.float32)


def net(pool=None, seed=0):
    random = np.random.default_rng(seed)
    side = 8 if pool is None else 4
    layers = [
        Conv2d(name="conv", weight=random.normal(0.002, 0.006, (4, 2, 3, 3)), bias=random.normal(0, 0.1, 4), padding=1),
        relu(name="relu"),
        *([] if pool is None else [pool]),
        Flatten(name="flat"),
        Dense(name="hidden", weight=random.normal(0, 0.1, (20, 4 * side * side)), bias=random.normal(0, 0.1, 20)),
        relu(name="relu2"),
        Dense(name="out", weight=random.normal(0, 0.3, (5, 20)), bias=random.normal(0, 0.1, 5)),
    ]
    return sequential(layers, input_shape=(2, 8, 8))


def steady(goal, steps=64):
    return Layer("l", np.broadcast_to(goal.astype(np.float32), (steps, *goal.shape)), goal, np.inf, SUBTRACT)


def test_thresholds_by_the_largest_activation_and_by_a_percentile():
    goal = np.append(np.linspace(0, 1, 999), 50.0)[None]
    assert MaxBalance().threshold(steady(goal)) == (50.0, 50.0)
    level, value = PercentileBalance(99.0).threshold(steady(goal))
    assert level == value == pytest.approx(np.percentile(goal, 99.0))
    assert PercentileBalance(50.0).threshold(steady(np.array([[0.0, 0.0, 0.0, 2.0]])))[0] == 2.0


def test_the_smallest_squared_error_prefers_a_few_saturated_rates_where_steps_are_few():
    goal = np.append(np.random.default_rng(0).random(20_000), np.full(10, 1.6))[None]
    few, many = MseBalance().threshold(steady(goal, 4))[0], MseBalance().threshold(steady(goal, 256))[0]
    assert few <= 1.0 < 1.55 < many


def test_without_activation_the_threshold_is_out_of_reach():
    layer = Layer("l", np.full((8, 1, 3), -2.0, np.float32), np.zeros((1, 3)), np.inf, SUBTRACT)
    for balance in (MaxBalance(), PercentileBalance(), MseBalance()):
        assert balance.threshold(layer)[0] > 2.0


@pytest.mark.parametrize("bits", [2, 3])
def test_qcfs_gives_the_codes_of_the_quantized_network(bits):
    """With steady input, rates at T = L are the quantized activations: Bu 2022, theorem 2, on the first layer."""
    levels = 2**bits - 1
    network = sequential(
        [
            Dense(name="d", weight=np.random.default_rng(1).normal(0, 0.004, (40, 6)), bias=np.full(40, 0.05)),
            relu(name="r"),
            Dense(name="out", weight=np.ones((1, 40))),
        ],
        input_shape=(6,),
    )
    x = 255.0 * np.random.default_rng(2).integers(0, 2, (50, 6)).astype(np.float32)  # each pixel at every step or never
    q = quantize(network, activation_bits=bits, per_channel=False, samples=x)
    snn = to_spiking(q, steps=levels, samples=x, reset="subtract", balance=QcfsBalance())
    found = populations(snn)
    _, activity = run_batch(found, input_codes(snn, x), levels, LOIHI1, seed=0, trial=0, first=0, threads=1)
    _, kept = run_integer(q, x, keep=["r"])
    spikes = activity[1].spikes.sum(axis=1)
    wanted = kept["r"].astype(int) - q.grids["r"].zero_point
    assert (spikes == wanted).mean() > 0.995  # a threshold in steps of 64 can turn a tie
    assert np.abs(spikes - wanted).max() <= 1 and len(np.unique(spikes)) == levels + 1


def test_qcfs_needs_bounds():
    with pytest.raises(InputError, match="'relu' has no upper bound; quantize"):
        to_spiking(net(), steps=8, samples=images(10), balance=QcfsBalance())


@pytest.mark.parametrize("balance", [MaxBalance(), PercentileBalance(), MseBalance()])
def test_outputs_follow_the_network_by_every_balance(balance):
    x = images(30)
    snn = to_spiking(net(), steps=64, samples=images(32, 1), reset="subtract", balance=balance)
    assert np.corrcoef(run(snn, chips.LOIHI, x).outputs.ravel(), run_float(net(), x).ravel())[0, 1] > 0.97


def test_corrected_biases_take_the_mean_error_away():
    x, samples = images(60), images(64, 1)
    real = run_float(net(), x)
    shift = {}
    for correct in (False, True):
        snn = to_spiking(net(), steps=32, samples=samples, reset="zero", correct_bias=correct)
        shift[correct] = np.abs((run(snn, chips.LOIHI, x).outputs - real).mean(axis=0)).mean()
    assert shift[True] < 0.5 * shift[False]


def test_every_neuron_fires_at_most_once():
    snn = to_spiking(net(), steps=48, samples=images(32, 1), coding="first_spike")
    x = images(30)
    found = populations(snn)
    _, activity = run_batch(found, input_codes(snn, x), 48, LOIHI1, seed=0, trial=0, first=0, threads=1)
    for happened in activity[:-1]:
        assert happened.spikes.sum(axis=1).max() == 1
    outputs = run(snn, chips.LOIHI, x).outputs
    assert np.corrcoef(outputs.ravel(), run_float(net(), x).ravel())[0, 1] > 0.9
    assert place(snn, chips.LOIHI)
    assert [layer.refractory for layer in snn.layers if hasattr(layer, "refractory")] == [64, 64, 64, 1]
    # a large input fires first
    codes = input_codes(snn, x)[0]
    first = np.where(activity[0].spikes[0].any(axis=0), activity[0].spikes[0].argmax(axis=0), 48)
    order = np.argsort(codes)
    assert (np.diff(first[order]) <= 0).all() and len(np.unique(first)) > 5


def test_rules_are_objects():
    for wrong in ({"balance": "mse"}, {"max_pooling": "or"}, {"correct_bias": 1}):
        with pytest.raises(ArgumentTypeError, match=next(iter(wrong))):
            to_spiking(net(), steps=8, samples=images(10), **wrong)


def test_first_spikes_take_64_steps_at_most():
    with pytest.raises(InputError, match="65 steps; a neuron stays silent for 64"):
        to_spiking(net(), steps=65, samples=images(10), coding="first_spike")


def test_or_pooling_of_first_spikes_is_exact():
    """The neuron of a window fires with the first of its inputs."""
    network = net(MaxPool2d(name="pool", size=3, stride=2, padding=1))
    snn = to_spiking(network, steps=32, samples=images(32, 1), coding="first_spike", max_pooling=OrPooling())
    x = images(10)
    found = populations(snn)
    _, activity = run_batch(found, input_codes(snn, x), 32, LOIHI1, seed=0, trial=0, first=0, threads=1)
    source = activity[1].spikes.astype(int).cumsum(axis=1).reshape(10, 32, 8, 8, 4)
    padded = np.pad(source, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.max([padded[:, :, i : i + 7 : 2, j : j + 7 : 2] for i in range(3) for j in range(3)], axis=0)
    got = activity[2].spikes.astype(int).cumsum(axis=1).reshape(10, 32, 4, 4, 4)
    np.testing.assert_array_equal(got, windows)
    assert 0.1 < got.mean() < 0.9


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_or_pooling_of_rates_fires_with_any_input(reset):
    network = net(MaxPool2d(name="pool", size=2))
    snn = to_spiking(network, steps=16, samples=images(32, 1), reset=reset, max_pooling=OrPooling())
    x = images(10)
    _, activity = run_batch(populations(snn), input_codes(snn, x), 16, LOIHI1, seed=0, trial=0, first=0, threads=1)
    source = activity[1].spikes.reshape(10, 16, 4, 2, 4, 2, 4).max(axis=(3, 5))
    np.testing.assert_array_equal(activity[2].spikes.reshape(10, 16, 4, 4, 4), source)


@pytest.mark.parametrize("rule, least", [(OrPooling(), 0.93), (AveragePooling(), 0.93)])
def test_rules_for_max_pooling(rule, least):
    network = net(MaxPool2d(name="pool", size=2))
    snn = to_spiking(network, steps=128, samples=images(32, 1), reset="subtract", max_pooling=rule)
    x = images(30)
    assert np.corrcoef(run(snn, chips.LOIHI, x).outputs.ravel(), run_float(network, x).ravel())[0, 1] > least
