"""Record goldens from brian2-loihi 0.5.2; see LOIHI.md for origin and licence. Not run by the tests.

Usage, in an environment of its own (Python 3.11): pip install brian2-loihi==0.5.2 cython scipy "numpy<2.4" setuptools;
python make_brian2loihi_golden.py. One single run: splitting a run changes that emulator's spikes.
"""

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import brian2 as b2
import brian2_loihi as bl
import numpy as np

HERE = Path(__file__).parent
INPUTS, NEURONS, STEPS = 40, 30, 300
DELAYS = (0, 1, 7, 30, 62)  # one object each: that emulator has one delay an object


def record_network(steps=STEPS, name="brian2loihi_recurrent"):
    """A recurrent network with delays: who is connected how, the input spikes, and u, v and spikes of each step.

    Of more than STEPS steps: spikes of all, u and v of the first 400 and their sums over all.
    """
    rng = np.random.default_rng(1)
    spikes_in = rng.random((steps, INPUTS)) < 0.08
    w_in = 2 * rng.integers(-64, 100, (INPUTS, NEURONS))
    w_rec = 2 * rng.integers(-100, 90, (NEURONS, NEURONS))
    delay_in, delay_rec = rng.choice(DELAYS, (INPUTS, NEURONS)), rng.choice(DELAYS, (NEURONS, NEURONS))
    parameters = {"refractory": 3, "threshold_v_mant": 900, "decay_v": 200, "decay_I": 700}
    times, indices = np.nonzero(spikes_in)
    source = bl.LoihiSpikeGeneratorGroup(INPUTS, indices, times)
    core = bl.LoihiNeuronGroup(NEURONS, **parameters)
    objects = [source, core]
    for group, mantissa, delay in ((source, w_in, delay_in), (core, w_rec, delay_rec)):
        for one in DELAYS:
            i, j = np.nonzero(delay == one)
            synapses = bl.LoihiSynapses(group, core, delay=one, sign_mode=bl.synapse_sign_mode.MIXED)
            synapses.connect(i=i, j=j)
            synapses.w = mantissa[i, j]
            objects.append(synapses)
    spikes, v = b2.SpikeMonitor(core), bl.LoihiStateMonitor(core, "v")
    u = bl.LoihiStateMonitor(core, "I")
    bl.LoihiNetwork(*objects, spikes, u, v).run(steps)
    fired = np.zeros((steps, NEURONS), bool)
    fired[np.round(spikes.t / b2.ms).astype(int), np.asarray(spikes.i)] = True
    state = [np.round(monitor).astype(np.int32).T for monitor in (u.I, v.v)]
    assert (state[0] == np.asarray(u.I).T).all() and (state[1] == np.asarray(v.v).T).all()
    print(fired.sum(), "spikes")
    if steps > STEPS:
        sums = {f"{n}_sum": values.sum(axis=0, dtype=np.int64) for n, values in zip("uv", state, strict=True)}
        spikes_in, fired, state = *(np.packbits(a, axis=1) for a in (spikes_in, fired)), [a[:400] for a in state]
        parameters |= sums
    np.savez_compressed(
        HERE / f"{name}.npz", spikes_in=spikes_in, w_in=w_in.astype(np.int16), spikes=fired,
        w_rec=w_rec.astype(np.int16), delay_in=delay_in.astype(np.uint8), delay_rec=delay_rec.astype(np.uint8),
        u=state[0], v=state[1], **parameters,
    )  # fmt: skip


def record_weights():
    """Actual weights of all mantissas -256 .. 255, in units of 64: (sign mode 1..3, bits 0..8, exponent -8..7, 512)."""
    mantissa, table = np.arange(-256, 256), np.zeros((3, 9, 16, 512), np.int16)
    for mode in range(3):
        for bits in range(9):
            for exponent in range(-8, 8):
                synapses = SimpleNamespace(sign_mode=mode + 1, num_weight_bits=bits, w_exp=exponent)
                for method in ("__getWeightPrecision", "__getWeightLimit"):
                    name = f"_LoihiSynapses{method}"
                    setattr(synapses, name, partial(getattr(bl.LoihiSynapses, name), synapses))
                w_act = bl.LoihiSynapses.calcActualWeights(synapses, mantissa)
                assert (w_act % 64 == 0).all() and abs(w_act).max() <= 64 * 32767
                table[mode, bits, exponent + 8] = w_act // 64
    np.savez_compressed(HERE / "brian2loihi_weights.npz", units_of_64=table)


if __name__ == "__main__":
    b2.prefs.codegen.target = "numpy"
    record_weights()
    record_network()
    record_network(10_000, "brian2loihi_long")
