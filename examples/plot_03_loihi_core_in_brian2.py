"""
A Loihi core among ordinary Brian2 groups
=========================================

A `LoihiCore` is a Brian2 group. It takes its place in a network beside Poisson inputs and neurons written as
equations, is connected with Brian2's own `Synapses` or with weight mantissas as the chip stores them, and is recorded
with Brian2's monitors. Its arithmetic is the integer arithmetic of the chip, bit for bit.
"""

import brian2 as b2
import matplotlib.pyplot as plt
import numpy as np

from neuroemu.spiking.brian import LoihiCore

b2.prefs.codegen.target = "numpy"  # nothing to compile; any target gives the same spikes
b2.defaultclock.dt = 1 * b2.ms  # one step of the core
b2.seed(3)
rng = np.random.default_rng(3)

# %%
# The input: 60 Poisson neurons whose rate rises and falls.

wave = b2.TimedArray(30 + 25 * np.sin(np.arange(400) * 2 * np.pi / 150), dt=1 * b2.ms)
inputs = b2.PoissonGroup(60, rates="wave(t) * Hz")

# %%
# The core: 40 neurons with the registers of Loihi 1. `current_decay` and `voltage_decay` are in 1/4096 a step (the chip
# adds 1 to the first), and a spike needs a voltage above 64 times the threshold mantissa.

core = LoihiCore(
    40,
    threshold_mantissa=900,
    current_decay=1000,
    voltage_decay=120,
    bias_mantissa=rng.integers(0, 40, 40),
    refractory=3,
)

# %%
# Brian2's synapses lead into the variable ``q`` of the core. They add whole numbers: a weight of mantissa m is 64 m.

from_inputs = b2.Synapses(inputs, core, "w : 1", on_pre="q_post += w")
from_inputs.connect(p=0.3)
from_inputs.w = "64 * (10 + int(rand() * 90))"
from_inputs.delay = "int(rand() * 5) * ms"

# %%
# Recurrent inhibition as the chip stores it: mantissas of 6 bits, all negative, and a delay of 0 to 20 steps for each
# synapse. The connection belongs to the core and runs with it.

inhibition = core.connect(
    core, -rng.integers(0, 80, (40, 40)), bits=6, sign_mode="inhibitory", delay=rng.integers(0, 21, (40, 40))
)
print(f"weights that are really added: {np.unique(inhibition.w_act)}")

# %%
# The output: three leaky neurons in floating point, written as equations, listen to three parts of the core.

listeners = b2.NeuronGroup(3, "dx/dt = -x / (20 * ms) : 1", method="exact")
to_listeners = b2.Synapses(core, listeners, on_pre="x_post += 0.2")
to_listeners.connect("j == i // 14")

# %%
# Monitors are Brian2's own. The voltage is recorded at the end of a step, after the reset.

input_spikes, core_spikes = b2.SpikeMonitor(inputs), b2.SpikeMonitor(core)
first_ten = b2.SpikeMonitor(core[:10], record=False)
voltage = b2.StateMonitor(core, "v", record=[0], when="end")
listened = b2.StateMonitor(listeners, "x", record=True)
network = b2.Network(b2.collect())
network.run(200 * b2.ms)
network.store()

# %%
# A run can be cut and repeated: the state of the core is stored with the network, the input under way included.

network.run(200 * b2.ms)
spikes_of_first_run = np.asarray(core_spikes.i[:]), np.asarray(core_spikes.t[:])
network.restore(restore_random_state=True)
network.run(200 * b2.ms)
assert all(np.array_equal(a, b) for a, b in zip(spikes_of_first_run, (core_spikes.i[:], core_spikes.t[:]), strict=True))

# %%
# The core counts what happened in it; these counts are what energy is computed from. Synaptic operations are those of
# its own connections: what Brian2's synapses add to ``q`` comes from outside the chip and is not one of them.

print(f"{core_spikes.num_spikes} spikes of the core, {first_ten.num_spikes} of its first ten neurons")
for name, count in core.counts.items():
    print(f"{name:>20} {count:8,}")

# %%
# Input, core, one integer voltage, and the listeners.

figure, axes = plt.subplots(4, 1, sharex=True, figsize=(7, 7), height_ratios=(2, 2, 1, 1), layout="constrained")
axes[0].plot(input_spikes.t / b2.ms, input_spikes.i, ".", markersize=2, color="0.4")
axes[0].set_ylabel("input neuron")
axes[1].plot(core_spikes.t / b2.ms, core_spikes.i, ".", markersize=3)
axes[1].set_ylabel("core neuron")
axes[2].step(voltage.t / b2.ms, voltage.v[0], where="post")
axes[2].axhline(64 * 900, color="0.6", linewidth=0.8)
axes[2].set_ylabel("v of neuron 0")
axes[3].plot(listened.t / b2.ms, listened.x.T)
axes[3].set_ylabel("listeners")
axes[3].set_xlabel("time (ms)")
figure.align_ylabels()
plt.show()
