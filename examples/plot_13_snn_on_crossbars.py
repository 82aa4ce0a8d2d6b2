"""
The same trained weights as numbers and as spikes, on crossbars and on spiking cores
====================================================================================

A spike drives its word line with one pulse, so a crossbar that runs a spiking network needs no DAC. What the columns
carry is converted and given to digital neurons, or it charges capacitors, and no converter is left either.
"""

from dataclasses import replace

import neuroemu as ne

network = ne.datasets.mnist_network()
x, y = ne.datasets.mnist_test(150)
quantized = ne.quantize(network, samples=network.samples)
spiking = ne.to_spiking(quantized, steps=32, samples=network.samples, reset="subtract")

# %%
# One set of weights. As numbers on the phase-change cells of HERMES; as spikes on the same cells, with digital neurons
# behind HERMES's converters and with analog neurons in their place; and as spikes on Loihi's cores. The analog design
# was never built: its prices are those of NeuRRAM's neurons and of Ohm's law in the cells.
results = [
    ne.run(quantized, ne.chips.HERMES, x, labels=y),
    ne.run(spiking, replace(ne.chips.HERMES, name="HERMES, spikes"), x, labels=y),
    ne.run(spiking, ne.chips.PCM_NEURONS, x, labels=y),
    ne.run(spiking, ne.chips.LOIHI, x, labels=y),
]
print(ne.compare(results))

# %%
# Without errors of cells and converters, the crossbar gives the outputs of the spiking core, bit for bit.
exact = ne.run(spiking, ne.crossbar.ideal(ne.chips.HERMES), x[:50], labels=y[:50])
print((exact.outputs == results[3].outputs[:50]).all())

# %%
# What a run leaves besides: spikes an image, the capacitors that put each threshold at half a volt, and how often a
# potential met a rail.
analog = results[2]
for name, traced in analog.traces.items():
    print(name, traced)

# %%
# Each column pair, each pulse and each decision is counted.
print(analog.counts)
print(analog.energy.table())

# %%
# Comparators are not alike. An offset, drawn once for each neuron of each programmed chip, moves its threshold of
# 500 mV. Where a spike subtracts the charge of a threshold, the offset delays the first spike and no rate changes;
# where it empties the capacitor, the rate follows the offset.
networks = {"subtract": spiking}
networks["zero"] = ne.to_spiking(quantized, steps=32, samples=network.samples, reset="zero")
offsets = {}
for reset, spikes in networks.items():

    def with_offset(millivolts, spikes=spikes):
        chip = ne.chips.PCM_NEURONS
        return spikes, replace(chip, neurons=replace(chip.neurons, offset=millivolts / 1e3))

    found = ne.sweep(with_offset, (0, 50, 100, 200), x[:100], labels=y[:100], name="offset (mV)")
    offsets[f"reset {reset}"] = found
    print(found)

# %%
ne.plot.sweep(offsets)

# %%
ne.plot.energy_accuracy(results)
