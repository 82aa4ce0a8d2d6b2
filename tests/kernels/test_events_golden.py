"""The events kernel against traces that others made: Loihi's PilotNet layers, a fixed-point neuron, brian2-loihi."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from neuroemu.kernels import events, events_reference
from neuroemu.spiking.arithmetic import BRIAN2LOIHI, LOIHI1, encode_weights, pack_weights

GOLDEN = Path(__file__).parents[1] / "golden"
RUNS = [events_reference.run_layer, events.run_layer]


def run(function, spikes_in, layer, **state):
    """Spikes, u and v (T, N) of one image."""
    steps, n = len(spikes_in), layer["du"].size
    spikes = np.zeros((1, steps, n), np.uint8)
    u, v = np.zeros((1, steps, n), np.int32), np.zeros((1, steps, n), np.int32)
    counts = np.zeros((1, 8), np.int64)
    spikes_in = np.ascontiguousarray(spikes_in, np.uint8)[None]
    function(spikes_in, **layer, **state, spikes_out=spikes, counts=counts, probe_u=u, probe_v=v)
    return spikes[0], u[0], v[0]


def layer_of(w_act, n, *, du, dv, threshold, bias=0, refractory=1, convention=LOIHI1):
    """A dense layer from actual weights (I, N)."""
    weights, shift = pack_weights(w_act)
    rows = np.arange(len(weights) + 1, dtype=np.int32)

    def full(value):
        return np.array(np.broadcast_to(value, n), np.int32)

    return {
        "indptr": rows, "target": np.zeros_like(rows[1:]), "row": rows[:-1], "weights": weights, "shift": shift,
        "du": full(du), "dv": full(dv), "threshold": full(threshold), "bias": full(bias)[None],
        "refractory": full(refractory), **convention.limits,
    }  # fmt: skip


def late(spikes):
    """The one step from a spike to its arrival."""
    return np.vstack((np.zeros_like(spikes[:1]), spikes[:-1]))


@pytest.mark.parametrize("function", RUNS)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_pilotnet_layers_on_loihi(function, number):
    golden = np.load(GOLDEN / "loihi_pilotnet_fc.npz")
    if number:
        source = golden[f"fc-{number - 1}_s"]
    else:
        source = np.unpackbits(golden["conv-4_s"])[: 2560 * 24].reshape(2560, 24)
    mantissa = golden[f"fc-{number}_weight"].astype(np.int64).T
    layer = layer_of(
        encode_weights(mantissa), mantissa.shape[1], du=LOIHI1.current_decay_offset + 4095, dv=1024, threshold=25 * 64,
        bias=golden[f"fc-{number}_bias"].astype(np.int64) << 6,
    )  # fmt: skip
    spikes_in, want = late(source.T), {k: golden[f"fc-{number}_{k}"].T for k in "suv"}
    zeroed = [t for t in (0, 6 + number, 23 + number) if t < 24] + [24]
    for start, stop in itertools.pairwise(zeroed):  # v starts at 0 in each window
        s, u, v = run(function, spikes_in[start:stop], layer)
        np.testing.assert_array_equal(s, want["s"][start:stop])
        np.testing.assert_array_equal(u, want["u"][start:stop])
        np.testing.assert_array_equal(np.where(s, 128, v), want["v"][start:stop])  # the register shows 128 on a spike
    assert want["s"].sum() > 0


@pytest.mark.parametrize("function", RUNS)
def test_pilotnet_read_out_on_loihi(function):
    """fc-3, 25 steps: an integrator without decay, zeroed at steps 8 and 24.

    Its u is that of fc-2's spikes a step before until fc-3's first zeroing; then it is that of other spikes than the
    file of fc-2 holds, whatever steps the layers before are zeroed at.
    """
    golden = np.load(GOLDEN / "loihi_pilotnet_fc.npz")
    u, spikes = golden["fc-3_u"], golden["fc-2_s"].T
    received = (golden["fc-3_weight"].astype(np.int64) @ late(spikes).T) << 6
    np.testing.assert_array_equal(u[:8], received[:8])
    assert (u[8:24] != received[8:24]).sum() == 5
    layer = layer_of([[1]], 1, du=4096, dv=0, threshold=131071 * 64)
    for start, stop in ((0, 8), (8, 24), (24, 25)):
        v = np.zeros((1, 1), np.int32)
        for t in range(start, stop):
            layer["bias"] = np.array([[u[t]]], np.int32)
            run(function, [[0]], layer, v=v)
            assert v[0, 0] == golden["fc-3_v"][t]


@pytest.mark.parametrize("function", RUNS)
def test_neuron_of_the_nir_paper_in_fixed_point(function):
    golden = np.load(GOLDEN / "loihi_nir_lif.npz")
    layer = layer_of([[640]], 1, du=4096, dv=163, threshold=25 * 64)  # 1 - 163/4096: 1e-4 s over a time constant
    s, _, v = run(function, late(golden["input"][:, None]), layer)
    assert np.flatnonzero(s).tolist() == np.flatnonzero(golden["spike"]).tolist() == [461, 511, 711, 761]
    np.testing.assert_array_equal(np.where(s, 128, v)[:, 0], golden["v"])


@pytest.mark.parametrize("function", RUNS)
def test_recurrent_network_of_brian2_loihi(function):
    golden = np.load(GOLDEN / "brian2loihi_recurrent.npz")
    w_act = encode_weights(np.vstack((golden["w_in"], golden["w_rec"])), convention=BRIAN2LOIHI)
    n_in, n = w_act.shape
    weights, shift = pack_weights(w_act)
    layer = layer_of(
        [[0] * n], n, du=golden["decay_I"], dv=golden["decay_v"], threshold=64 * int(golden["threshold_v_mant"]),
        refractory=golden["refractory"], convention=BRIAN2LOIHI,
    )  # fmt: skip
    layer |= {  # one synapse an edge, each with a delay of its own
        "indptr": np.arange(0, n_in * n + 1, n, dtype=np.int32),
        "target": np.tile(np.arange(n, dtype=np.int32), n_in),
        "row": np.arange(n_in * n, dtype=np.int32),
        "weights": weights.reshape(-1, 1),
        "shift": shift,
        "delay": np.vstack((golden["delay_in"], golden["delay_rec"])).ravel(),
    }
    state = {name: np.zeros((1, n), np.int32) for name in ("u", "v", "counter")}
    state["ring"] = np.zeros((1, 63, n), np.int32)
    spikes = np.zeros(n, np.uint8)
    for t, spikes_in in enumerate(golden["spikes_in"]):
        (spikes,), (u,), (v,) = run(function, [np.concatenate((spikes_in, spikes))], layer, **state)
        np.testing.assert_array_equal(u, golden["u"][t], err_msg=f"u in step {t}")
        np.testing.assert_array_equal(v, golden["v"][t], err_msg=f"v in step {t}")
        np.testing.assert_array_equal(spikes, golden["spikes"][t], err_msg=f"spikes in step {t}")
    assert golden["spikes"].sum() > 1000
