"""
Fewer bits, fewer channels: accuracy against energy
===================================================

A network can be made cheaper by coarser weights and by fewer channels. What that saves depends on the chip: one pays
for each array that it reads, another for each slice of a weight, a third for each spike. Here the embedded network is
pruned and quantized after training, on 512 training images, without training it again.
"""

import neuroemu as ne

network = ne.datasets.mnist_network()
samples = network.samples
x, y = ne.datasets.mnist_test(300)

# %%
# Two bits a weight
# -----------------
# Rounding each weight to its nearest code is not the best for the layer. :class:`neuroemu.Gptq` rounds so that errors
# cancel on the inputs that really arrive; the range of the weights is the one with the smallest squared error.
for bits in (2, 3, 4):
    plain = ne.quantize(network, weight_bits=bits, samples=samples)
    ranged = ne.quantize(network, weight_bits=bits, samples=samples, weight_calibration=ne.Mse())
    best = ne.quantize(network, weight_bits=bits, samples=samples, weight_calibration=ne.Mse(), rounding=ne.Gptq())
    shares = [(ne.run_integer(q, x).argmax(axis=1) == y).mean() for q in (plain, ranged, best)]
    print(f"{bits} bits: nearest {shares[0]:.1%}, with the best range {shares[1]:.1%}, with Gptq {shares[2]:.1%}")

# %%
# Fewer channels
# --------------
# Whole output channels go, those that the next layer would miss least, and arrays shrink with them. What is left is
# fitted anew to what the network computed before, by least squares.
how = {"structure": ne.Channels(), "criterion": ne.Contribution(), "samples": samples}
forms = {1.0: network}
for density in (0.75, 0.5):
    forms[density] = ne.prune(network, density=density, reconstruct=ne.LeastSquares(), **how)
print(ne.freed(network, forms[0.5]))
for chip in (ne.chips.HERMES, ne.chips.TPU_V1):
    before, after = (ne.place(ne.quantize(forms[d], samples=samples), chip) for d in (1.0, 0.5))
    print(f"{chip.name}: {len(before.sites)} arrays become {len(after.sites)}")

# %%
# Both, on four chips
# -------------------
# ISAAC holds a weight in slices of two bits, so that coarser weights take fewer columns and conversions. HERMES pays
# for each read of an array, whatever is in it, and the TPU for each tile of weights that it fetches: only fewer tiles
# help. On Loihi weights keep eight bits; fewer channels mean fewer spikes and synapses.
results = []
for density, form in forms.items():
    for bits in (2, 3, 4, 8):
        coarse = ne.quantize(
            form, weight_bits=bits, samples=samples, weight_calibration=ne.Mse(), rounding=ne.Gptq(), correct_bias=True
        )
        coarse = coarse.replace(name=f"{bits} bits, {density:.0%}")
        results += [ne.run(coarse, chip, x, labels=y) for chip in (ne.chips.ISAAC, ne.chips.HERMES, ne.chips.TPU_V1)]
    spiking = ne.to_spiking(form, steps=32, samples=samples, name=f"32 steps, {density:.0%}")
    results.append(ne.run(spiking, ne.chips.LOIHI, x[:100], labels=y[:100]))

for best in ne.plot.front([r for r in results if r.chip_name == "ISAAC"]):
    print(f"{best.network_name} on ISAAC: {best.accuracy:.1%}, {best.energy_per_inference:.3g} J")

# %%
# Coloured points are those that no other one of their chip beats. Energies of the chips have boundaries of their own
# (an array, a chip, a chip with its memory: see each result), so shapes may be compared more than places. Loihi saw the
# first 100 of the 300 images.
ne.plot.pareto(results)
