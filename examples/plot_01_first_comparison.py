"""
One network on an analog, a spiking and three digital chips
===========================================================

The embedded network is quantized to 8 and to 4 bits, converted to spikes with both resets, and run on HERMES, LOIHI
and digital baselines: accuracy, energy and latency of the same trained weights, side by side.
"""

import neuroemu as ne

# %%
# A float network, test images, and training images to calibrate on. The samples come with the network.
network = ne.datasets.mnist_network()
samples = network.samples
x, y = ne.datasets.mnist_test(500)
print(network)

# %%
# Quantization needs training images only.
eight = ne.quantize(network, samples=samples)
four = ne.quantize(network, weight_bits=4, activation_bits=4, samples=samples).replace(name="mnist_cnn, 4 bits")

# %%
# Chips run what they can hold: codes on crossbars and digital chips, spikes on spiking cores. Five programmed chips
# show how much one HERMES differs from the next.
results = [
    ne.run(eight, ne.chips.HERMES, x, labels=y, trials=5),
    ne.run(four, ne.chips.HERMES, x, labels=y, trials=5),
]
for reset in ("subtract", "zero"):
    spiking = ne.to_spiking(eight, steps=32, samples=samples, reset=reset)
    results.append(ne.run(spiking, ne.chips.LOIHI, x, labels=y))
results += [ne.run(eight, chip, x, labels=y) for chip in (ne.chips.TPU_V1, ne.chips.A100, ne.chips.XEON_E5_2699V3)]

# %%
# The table names what each figure leaves out.
print(ne.compare(results))

# %%
# Each joule is a counted event times a price with a source.
print(results[2].energy.table())

# %%
ne.plot.energy_accuracy(results)
