"""Record goldens from lava-nc 0.10.0's fixed-point models; see LOIHI.md for origin and licence. Not run by the tests.

Usage, in an environment of its own (Python 3.11; the package asks for 3.10): pip install --ignore-requires-python
lava-nc==0.10.0 "numpy<2"; python make_lava_golden.py. `_allow_defaults` lets its dataclasses keep their defaults.
"""

import dataclasses
import inspect
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
INPUTS, SIZES, STEPS = 24, (18, 14), 10_000


def _allow_defaults():
    """Python 3.11 refuses default values without a hash; lava 0.10 has three, none of which it changes."""
    source = inspect.getsource(dataclasses._get_field)
    allowed = source.replace("f.default.__class__.__hash__ is None", "isinstance(f.default, (list, dict, set))")
    exec(allowed, dataclasses.__dict__)


_allow_defaults()

from lava.magma.core.run_conditions import RunSteps  # noqa: E402
from lava.magma.core.run_configs import Loihi2SimCfg  # noqa: E402
from lava.proc.dense.process import DelayDense, Dense  # noqa: E402
from lava.proc.io.sink import RingBuffer as Sink  # noqa: E402
from lava.proc.io.source import RingBuffer as Source  # noqa: E402
from lava.proc.lif.process import LIF  # noqa: E402
from lava.proc.monitor.process import Monitor  # noqa: E402
from lava.utils.weightutils import SignMode, clip_weights, truncate_weights  # noqa: E402

MODES = {"mixed": SignMode.MIXED, "excitatory": SignMode.EXCITATORY, "inhibitory": SignMode.INHIBITORY}


def record_weights():
    """Weights of mantissas -256 .. 255 as Dense holds them, before the exponent: (sign mode, bits 1..8, 512)."""
    mantissa = np.arange(-256, 256)
    table = np.zeros((len(MODES), 8, 512), np.int16)
    for mode, sign in enumerate(MODES.values()):
        for bits in range(1, 9):
            table[mode, bits - 1] = truncate_weights(clip_weights(mantissa, sign, num_bits=8), sign, bits)
    return table


def record_network():
    """Two populations, recurrent, with bias, delays, and overflow of u and v."""
    rng = np.random.default_rng(11)
    spikes_in = rng.random((STEPS, INPUTS)) < 0.07
    weights = {
        "w_in": rng.integers(-150, 200, (INPUTS, SIZES[0])),
        "w_next": rng.integers(0, 255, SIZES),
        "w_own": rng.integers(-255, 1, (SIZES[1],) * 2),
        "w_back": rng.integers(-256, 255, SIZES[::-1]),
    }
    delay = rng.integers(0, 8, (INPUTS, SIZES[0]))
    registers = [
        dict(du=int(rng.integers(1000, 4095)), dv=int(rng.integers(100, 600)), vth=int(rng.integers(1500, 3000)),
             bias_mant=rng.integers(-200, 300, n), bias_exp=rng.integers(0, 5, n))
        for n in SIZES
    ]  # fmt: skip
    cores = [LIF(shape=(n,), **values) for n, values in zip(SIZES, registers, strict=True)]
    source = Source(data=spikes_in.T.astype(int))
    sinks = [Sink(shape=(n,), buffer=STEPS) for n in SIZES]
    first = DelayDense(weights=weights["w_in"].T, delays=delay.T, num_weight_bits=8, sign_mode=SignMode.MIXED)
    next_ = Dense(weights=weights["w_next"].T, num_weight_bits=5, weight_exp=1, sign_mode=SignMode.EXCITATORY)
    own = Dense(weights=weights["w_own"].T, num_weight_bits=6, sign_mode=SignMode.INHIBITORY)
    back = Dense(weights=weights["w_back"].T, num_weight_bits=4, weight_exp=2, sign_mode=SignMode.MIXED)
    for dense, a, b in ((first, source, 0), (next_, cores[0], 1), (own, cores[1], 1), (back, cores[1], 0)):
        a.s_out.connect(dense.s_in)
        dense.a_out.connect(cores[b].a_in)
    probes = []
    for core, sink in zip(cores, sinks, strict=True):
        core.s_out.connect(sink.a_in)
        probes += [(core, name, Monitor()) for name in ("u", "v")]
        for _, name, monitor in probes[-2:]:
            monitor.probe(getattr(core, name), STEPS)
    cores[0].run(RunSteps(STEPS), Loihi2SimCfg(select_tag="fixed_pt"))
    found = {}
    for index, (core, sink) in enumerate(zip(cores, sinks, strict=True)):
        found[f"spikes_{index}"] = np.packbits(sink.data.get().T.astype(bool), axis=1)
        for owner, name, monitor in probes:
            if owner is core:
                values = monitor.get_data()[core.name][name].astype(np.int64)
                found[f"{name}_{index}"] = values[:400].astype(np.int32)
                found[f"{name}_sum_{index}"] = values.sum(axis=0)
                print(index, name, np.abs(values).max())
        print(sink.data.get().sum(axis=1).astype(int))
    cores[0].stop()
    for index, values in enumerate(registers):
        found |= {f"{name}_{index}_register": value for name, value in values.items()}
    np.savez_compressed(
        HERE / "lava_recurrent.npz", weights=record_weights(), spikes_in=np.packbits(spikes_in, axis=1),
        delay=delay.astype(np.uint8), **{name: w.astype(np.int16) for name, w in weights.items()}, **found,
    )  # fmt: skip


def record_shifted():
    """A recurrent population whose synapses, with delays and without, have negative exponents."""
    rng = np.random.default_rng(13)
    n, steps = SIZES[0], 2000
    spikes_in = rng.random((steps, INPUTS)) < 0.2
    w_in, w_own = rng.integers(-150, 200, (INPUTS, n)), rng.integers(-200, 120, (n, n))
    delay = rng.integers(0, 4, (INPUTS, n))
    registers = {"du": 1500, "dv": 300, "vth": 400}
    core, source, sink = (
        LIF(shape=(n,), **registers),
        Source(data=spikes_in.T.astype(int)),
        Sink(shape=(n,), buffer=steps),
    )
    first = DelayDense(weights=w_in.T, delays=delay.T, num_weight_bits=8, weight_exp=-2, sign_mode=SignMode.MIXED)
    own = Dense(weights=w_own.T, num_weight_bits=6, weight_exp=-5, sign_mode=SignMode.MIXED)
    for dense, sender in ((first, source), (own, core)):
        sender.s_out.connect(dense.s_in)
        dense.a_out.connect(core.a_in)
    core.s_out.connect(sink.a_in)
    monitors = {name: Monitor() for name in ("u", "v")}
    for name, monitor in monitors.items():
        monitor.probe(getattr(core, name), steps)
    core.run(RunSteps(steps), Loihi2SimCfg(select_tag="fixed_pt"))
    states = {}
    for name, monitor in monitors.items():
        values = monitor.get_data()[core.name][name].astype(np.int64)
        states |= {name: values[:400].astype(np.int32), f"{name}_sum": values.sum(axis=0)}
    spikes = sink.data.get().T.astype(bool)
    core.stop()
    print(spikes.sum(axis=0))
    np.savez_compressed(
        HERE / "lava_shifted.npz", spikes_in=np.packbits(spikes_in, axis=1), spikes=np.packbits(spikes, axis=1),
        w_in=w_in.astype(np.int16), w_own=w_own.astype(np.int16), delay=delay.astype(np.uint8), **states, **registers,
    )  # fmt: skip


if __name__ == "__main__":
    record_shifted()
    record_network()
