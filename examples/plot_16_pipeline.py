"""
Layers at work: pipelines, copies of busy layers, and area
==========================================================

The first layers of a convolutional network have many positions and few weights, the last ones the other way round. On a
chip that holds all weights at once, the first arrays are therefore busy while the others wait. Spare arrays can hold
copies of the busy ones. Here the embedded network runs on ISAAC, a design, and on HERMES.
"""

from dataclasses import replace

import neuroemu as ne
from neuroemu.crossbar import BusiestFirst, KeepUpWith, LayerByLayer, LayerPipeline, RowPipeline

network = ne.datasets.mnist_network()
q = ne.quantize(network, samples=network.samples)
x, y = ne.datasets.mnist_test(200)

# %%
# When a layer may begin
# ----------------------
# One layer after the other, all layers at once on different images, or each layer as soon as its first window is there.
# A schedule changes how long an image takes and how soon the next one may come, and no result.
for schedule in (LayerByLayer(), LayerPipeline(), RowPipeline()):
    found = replace(ne.chips.ISAAC, schedule=schedule).pipeline(q)
    print(f"{schedule}: latency {1e6 * found.latency:.1f} us, interval {1e6 * found.interval:.1f} us")

# %%
# ISAAC's own is the last one. The first layer sets the pace: the others read for a quarter of the time and less.
print(ne.chips.ISAAC.pipeline(q))
ne.plot.pipeline(ne.chips.ISAAC.pipeline(q), images=2)

# %%
# Copies of busy layers
# ---------------------
# ISAAC balances its pipeline from the last layer backwards: each layer is there often enough to keep up with it.
# ``BusiestFirst`` gives arrays one after the other to the layer that is slowest; here it gets at most 100.
balanced = replace(ne.chips.ISAAC, name="balanced ISAAC", copies=KeepUpWith())
hundred = replace(ne.chips.ISAAC, name="ISAAC + 100 arrays", copies=BusiestFirst(100))
print(balanced.pipeline(q))
ne.plot.pipeline(hundred.pipeline(q), images=5)

# %%
# What copies cost
# ----------------
# Each image takes the same reads, shared out among the copies: its energy stays. What grows are the arrays, their area
# and the writes that program them. HERMES has 64 cores, of which one copy of this network takes six.
hermes = replace(ne.chips.HERMES, schedule=RowPipeline())
full = replace(hermes, name="all of HERMES", copies=BusiestFirst())
results = [ne.run(q, chip, x, labels=y) for chip in (ne.chips.ISAAC, balanced, hundred, hermes, full)]
for result in results:
    writes = result.energy.writes.total("cell_write")
    print(
        f"{result.chip_name:24} {result.throughput:>9,.0f} images/s, {1e6 * result.latency_per_inference:6.1f} us each"
    )
    print(f"{'':24} {result.used_mm2:.2f} mm2, {1e6 * result.energy_per_inference:.2f} uJ, {writes:,} writes")
    print(f"{'':24} {result.usage}")

# %%
# The time of HERMES is that of its reads alone. For the links between its cores none was published, so that real images
# take longer. Its cores are nearly empty here, and their price is that of full ones. Areas of cores and of tiles are
# from the papers; a dash is a figure that was not found.
print(ne.compare(results))
