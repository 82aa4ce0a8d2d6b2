"""
A network trained for TrueNorth, and copies that vote
=====================================================

Thirty cores of 256 axons and 256 neurons recognise a digit in one tick a layer. The synapses of the network are
probabilities: a chip sets each by chance when it is programmed, so copies differ, and their votes add up, as in Esser
et al., NIPS 2015.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import neuroemu as ne

# %%
# The network: pixels above 127 spike; a neuron spikes where the sum of its synapses and its leak is 1 or more, and
# forgets the rest. So an image enters in each tick, four ticks before its votes leave.
network = ne.datasets.mnist_truenorth_network()
x, y = ne.datasets.mnist_test(1000)
print(network)

# %%
# Each axon has one of four types, whose weight is +1 or -1 for each neuron; the compiler finds these types in the
# weights, so that an input takes one axon and each core is full.
placement = ne.place(network, ne.chips.TRUENORTH)
print(placement.layers())

# %%
# More copies take more cores, events and area, and no more time. Energy is that of an image.
copies = (1, 4, 16)
results = [ne.run(network, replace(ne.chips.TRUENORTH, copies=k), x, labels=y, trials=2) for k in copies]
print("copies  accuracy  cores    area   events  chip at rest  share of the cores in use")
for k, result in zip(copies, results, strict=True):
    rest = result.energy.static_by_scope
    events, chip, cores = (1e6 * joules / len(x) for joules in (result.energy.dynamic, rest["chip"], rest["core"]))
    area = result.used_mm2
    print(f"{k:6d}  {100 * result.accuracy:6.2f} %  {result.n_units:5d}  {area:4.1f} mm2", end="  ")
    print(f"{events:.2f} uJ  {chip:9.1f} uJ  {cores:22.2f} uJ")

# %%
# Sixteen copies on the chip: one colour a layer.
ne.plot.cores(ne.place(network, replace(ne.chips.TRUENORTH, copies=16)))

# %%
# Accuracy over copies; bars are 95 % intervals over images, dots the two programmed chips.
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
middle = np.array([100 * result.accuracy for result in results])
ends = 100 * np.array([result.accuracy_interval for result in results])
axes.errorbar(copies, middle, yerr=np.abs(ends.T - middle), fmt="o-", capsize=3)
for k, result in zip(copies, results, strict=True):
    axes.plot([k] * 2, 100 * np.array(result.scores.by_trial), ".", color="0.4")
axes.set(xscale="log", xlabel="copies", ylabel="accuracy (%)", xticks=copies, xticklabels=copies)
axes.minorticks_off()
axes.grid(alpha=0.3)
plt.show()

# %%
# Any network of rectified layers can be put on the cores, if its neurons listen to few enough inputs. Rates code its
# activations then, and 4-bit weights are sums over four axons: 1, 2, 4 and -8.
rng = np.random.default_rng(0)
small = ne.network.sequential(
    [
        ne.network.AveragePool2d(name="pool", size=4),
        ne.network.Flatten(name="flat"),
        ne.network.Dense(name="hidden", weight=rng.normal(0, 0.01, (30, 49))),
        ne.network.relu(name="relu"),
        ne.network.Dense(name="out", weight=rng.normal(0.1, 0.5, (10, 30))),
    ],
    input_shape=(1, 28, 28),
    name="untrained",
)
rates = ne.to_truenorth(small, steps=32, samples=x[500:])
print(ne.place(rates, ne.chips.TRUENORTH).table())
real, counts = np.maximum(ne.run_float(small, x[:100]), 0), ne.run(rates, ne.chips.TRUENORTH, x[:100]).outputs
print(
    f"spike counts follow the float outputs with a correlation of {np.corrcoef(real.ravel(), counts.ravel())[0, 1]:.3f}"
)
