"""Record goldens from the emulator of nengo-loihi 1.1.0; see LOIHI.md for origin and licence. Not run by the tests.

Usage, in an environment of its own (Python 3.11): pip install nengo-loihi==1.1.0 "numpy<2" "setuptools<80";
python make_nengo_loihi_golden.py
"""

import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from nengo_loihi.block import Axon, LoihiBlock, Synapse
from nengo_loihi.builder.discretize import discretize_weights
from nengo_loihi.emulator.interface import EmulatorInterface
from nengo_loihi.inputs import SpikeInput

HERE = Path(__file__).parent
INPUTS, SIZES, STEPS, SEED = 30, (20, 16), 10_000, 7
BITS = (1, 2, 3, 4, 5, 6, 8)  # SynapseConfig.WEIGHT_BITS_MAP without 0
FANOUT = {"mixed": 1, "excitatory": 2, "inhibitory": 3}
warnings.simplefilter("ignore")


def actual(mantissa, *, bits, exponent, sign_mode, synapse=None):
    """Weights that the emulator adds."""
    synapse = synapse or Synapse(1)
    synapse.format(weight_bits=(0, *BITS).index(bits), weight_exp=exponent, fanout_type=FANOUT[sign_mode])
    return discretize_weights(synapse.synapse_cfg, np.asarray(mantissa, np.float64), check_result=False)


def record_weights():
    """Actual weights of all mantissas -255 .. 255 in units of 64: (sign mode, bits, exponent -7..7, 511)."""
    mantissa = np.arange(-255, 256)
    table = np.zeros((len(FANOUT), len(BITS), 15, 511), np.int16)
    for mode, name in enumerate(FANOUT):
        for place, bits in enumerate(BITS):
            for exponent in range(-7, 8):
                w = actual(mantissa, bits=bits, exponent=exponent, sign_mode=name)
                assert (w % 64 == 0).all()
                table[mode, place, exponent + 7] = w // 64
    np.savez_compressed(HERE / "nengo_loihi_weights.npz", units_of_64=table)


def connect(source, target, mantissa, **weight_format):
    """Dense synapses from a block or an input to a block; the weights that are added."""
    synapse = Synapse(len(mantissa))
    synapse.set_weights(np.asarray(mantissa, np.float32))
    w = actual(mantissa, synapse=synapse, **weight_format)
    synapse.weights = [row.reshape(1, -1).astype(np.int32) for row in w]
    target.add_synapse(synapse)
    axon = Axon(len(mantissa))
    axon.target = synapse
    axon.set_compartment_axon_map(np.arange(len(mantissa)))
    (source.axons.append if isinstance(source, SpikeInput) else source.add_axon)(axon)


def record_network():
    """Two populations, recurrent, with bias, refractory time, noise on u and on v, and overflow of q, u and v."""
    rng = np.random.default_rng(3)
    spikes_in = rng.random((STEPS, INPUTS)) < 0.06
    parts = {
        "w_in": (rng.integers(-120, 200, (INPUTS, SIZES[0])), dict(bits=8, exponent=0, sign_mode="mixed")),
        "w_next": (rng.integers(0, 256, SIZES), dict(bits=5, exponent=1, sign_mode="excitatory")),
        "w_own": (rng.integers(-255, 1, (SIZES[1],) * 2), dict(bits=6, exponent=-1, sign_mode="inhibitory")),
        "w_back": (rng.integers(-255, 256, SIZES[::-1]), dict(bits=4, exponent=6, sign_mode="mixed")),
    }
    registers = [
        dict(decay_u=rng.integers(300, 4096, n), decay_v=rng.integers(0, 900, n), vth=rng.integers(300, 3000, n),
             bias=rng.integers(-300, 400, n) * 2 ** rng.integers(0, 4, n), refract_delay=rng.integers(1, 6, n))
        for n in SIZES
    ]  # fmt: skip
    noise = [
        dict(noise_exp=9, noise_offset=1, noise_at_membrane=1),
        dict(noise_exp=7, noise_offset=-1, noise_at_membrane=0),
    ]
    blocks = [LoihiBlock(n) for n in SIZES]
    for block, values, sort in zip(blocks, registers, noise, strict=True):
        c = block.compartment
        for name, value in values.items():
            setattr(c, name, value.astype(np.int32))
        c.vth = c.vth * 64
        c.scale_u = c.scale_v = False
        c.vmin, c.vmax = -(2**23) + 1, 2**23 - 1
        c.enable_noise = np.ones(block.n_neurons, bool)
        for name, value in sort.items():
            setattr(c, name, value)
    source = SpikeInput(INPUTS)
    for (mantissa, form), (a, b) in zip(parts.values(), ((source, 0), (0, 1), (1, 1), (1, 0)), strict=True):
        connect(a if a is source else blocks[a], blocks[b], mantissa, **form)
    for t in range(STEPS):
        source.add_spikes(t + 1, np.flatnonzero(spikes_in[t]).tolist())
    model = SimpleNamespace(blocks=blocks, inputs=[source], probes=[], dt=0.001)
    emulator = EmulatorInterface(model, seed=SEED)
    rows = {name: [] for name in ("u", "v", "spikes")}
    for _ in range(STEPS + 1):
        emulator.step()
        c = emulator.compartment
        for name, state in (("u", c.current), ("v", c.voltage), ("spikes", c.spiked)):
            rows[name].append(state.copy())
    # Input spikes take a step to arrive there, so its first step has none.
    draws = np.random.RandomState(SEED)
    drawn = np.stack([draws.randint(-127, 128, size=sum(SIZES), dtype=np.int32) for _ in range(STEPS + 1)])
    found = {name: np.array(values) for name, values in rows.items()}
    digest = {"u_sum": found["u"].sum(axis=0, dtype=np.int64), "v_sum": found["v"].sum(axis=0, dtype=np.int64)}
    kept = slice(0, 400)
    np.savez_compressed(
        HERE / "nengo_loihi_recurrent.npz",
        spikes_in=np.packbits(spikes_in, axis=1), spikes=np.packbits(found["spikes"], axis=1),
        u=found["u"][kept].astype(np.int32), v=found["v"][kept].astype(np.int32), seed=SEED, **digest,
        **{name: mantissa.astype(np.int16) for name, (mantissa, _) in parts.items()},
        **{f"{name}_{i}": value for i, values in enumerate(registers) for name, value in values.items()},
    )  # fmt: skip
    assert (drawn[0] != drawn[1]).any()
    print(found["spikes"].sum(axis=0), np.abs(found["u"]).max(), np.abs(found["v"]).max())


if __name__ == "__main__":
    record_weights()
    record_network()
