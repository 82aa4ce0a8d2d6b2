"""
A conversion taken apart
========================

What is lost when a network becomes spiking, and where? How many steps does an image need? Do the integers keep their
range? The embedded network answers, in the arithmetic of Loihi 1; everything is chosen on training images.
"""

from dataclasses import replace

import numpy as np

import neuroemu as ne
from neuroemu.network import Dense, Network, neurons

network = ne.datasets.mnist_network()
quantized = ne.quantize(network, samples=network.samples)
x, y = ne.datasets.mnist_test(200)
spiking = ne.to_spiking(quantized, steps=32, samples=network.samples, reset="subtract")

# %%
# **Layer by layer.** A rate stands for an activation. What it gets wrong is inherited from the layers before, comes
# from whole weights and biases, or from whole spikes in few steps. The last two are predicted without a spike. Spikes
# that arrive unevenly add to the prediction: see the third layer.

report = ne.conversion_report(quantized, spiking, ne.chips.LOIHI, x[:100], labels=y[:100])
print(report)
ne.plot.conversion(report)

# %%
# **Step by step.** One run holds the answer after every step. An image is done when its largest output leads the second
# by a margin. The first margin is the smallest with which 99.9 % of 512 training images keep their answer; so few miss
# the rare image whose lead is lost again, so the second has a factor of safety.

curve = ne.steps_curve(spiking, ne.chips.LOIHI, x, labels=y)
rules = [ne.calibrate_stop(spiking, ne.chips.LOIHI, agreement=0.999, safety=factor) for factor in (1, 2)]
print(curve)
ne.plot.steps(curve, stopped=[curve.stopped(rule) for rule in rules])

# %%
# A chip that stops early takes less energy and time: the counts are those of the steps that were made. Layers before
# the read-out have run ahead, which counts too.

early = replace(ne.chips.LOIHI, name="Loihi, stops when sure", stop=rules[1])
results = [ne.run(spiking, chip, x, labels=y, progress=False) for chip in (ne.chips.LOIHI, early)]
print(ne.compare(results))
print(f"steps: {results[1].traces['mean steps']:.1f} of 32 in the mean")

# %%
# **Do the integers keep their range?** The largest sum, current and potential of each layer, and the bits left.

print(ne.check_range(spiking, ne.chips.LOIHI, network.samples[:100]))

# %%
# With weights, thresholds and biases twice as large, is it still the same network? The potentials have one to two bits
# of room, so a shift by three saturates them. It costs no spike of the hidden layers, since what saturates lies far
# below zero, but the read-out counts wrongly.

for bits in (1, 3):
    print(ne.check_shift(spiking, ne.chips.LOIHI, network.samples[:50], bits=bits))

# %%
# **Straight to the core.** Neurons in continuous time, as a NIR file holds them, become registers: decays in 1/4096 a
# step, weights of 8 bits, thresholds. What each rounding costs is predicted; the spikes are compared with those of the
# float run, of each layer alone and behind the ones before it.

rng = np.random.default_rng(0)


def cuba(name, n):
    values = {"tau_mem": 2e-3, "tau_syn": 5e-4, "r": 20.0, "v_leak": 0.0, "w_in": 5.0, "v_threshold": 1.0}
    return neurons.CubaLIF(name=name, **{field: np.full(n, value) for field, value in values.items()})


continuous = Network(
    layers=(
        Dense(name="in", weight=rng.normal(0.03, 0.1, (60, 40))),
        cuba("hidden", 60),
        Dense(name="out", weight=rng.normal(0.03, 0.15, (8, 60))),
        cuba("last", 8),
    ),
    input_shape=(40,),
    name="two layers of CubaLIF",
)
trains = rng.random((300, 8, 40)) < 0.1  # steps, inputs, neurons
integer = ne.to_integer_core(continuous, samples=trains[:, :4], dt=1e-4)
print(ne.core_report(continuous, integer, ne.chips.LOIHI, trains[:, 4:], dt=1e-4))
