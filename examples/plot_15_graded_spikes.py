"""
Spikes that carry a number: sigma-delta networks, bursts, and a neuron program of your own
==========================================================================================

Neurons of Loihi 2 run programs and send graded spikes: messages with an integer in them. A quantized network can then
send nothing but the changes of its codes, and it still computes what it computed before, to the last bit.
"""

from dataclasses import dataclass

import numpy as np

import neuroemu as ne
from neuroemu.network import Dense, Grid, Network, Programmed
from neuroemu.network.programs import NeuronProgram, SigmaProgram, zeros

network = ne.datasets.mnist_network()
x, y = ne.datasets.mnist_test(300)
quantized = ne.quantize(network, samples=network.samples)

# %%
# One layer of neurons after the other hears of an image; then nothing changes any more, and every output is that of the
# integer reference. No price of Loihi 2 is public, so its energy is unknown; messages and operations are counted.
sigma_delta = ne.to_sigma_delta(quantized)
result = ne.run(sigma_delta, ne.chips.LOIHI2, x, labels=y)
print(result)
print((result.outputs == ne.run_integer(quantized, x)).all())
print(result.counts)
print(f"{result.counts.total('synaptic_op') / len(x):,.0f} of {sum(quantized.macs.values()):,} operations an image")

# %%
# Frames that change slowly are what this is for. Here digits move by a pixel every fourth frame.
film = np.stack([np.roll(x[:50], t // 4, axis=3) for t in range(16)], axis=1)
for threshold in (0, 8):
    run = ne.spiking.run_frames(ne.to_sigma_delta(quantized, threshold=threshold), film)
    print(f"threshold {threshold}: {run.messages / film.shape[0] / film.shape[1]:,.0f} messages a frame")
    print({name: counts.by_step.tolist() for name, counts in run.counts.items()})

# %%
# The same weights coded in time: at most one spike a step, bursts of up to five in one message, or phases that weigh
# 128, 64, ..., 1.
found = {
    coding: ne.sweep(
        lambda steps, coding=coding: (ne.to_graded(quantized, steps=steps, coding=coding), ne.chips.LOIHI2),
        (8, 16, 32), x[:150], labels=y[:150], name="steps",
    )
    for coding in ("rate", "burst", "phase")
}  # fmt: skip
for coding, rows in found.items():
    print(coding, rows, sep="\n")

# %%
ne.plot.sweep(found)


# %%
# A program of your own says what a neuron keeps and what it does in one step, over whole arrays. This one sends the
# largest number that it has heard so far, whenever that grows.
@dataclass(frozen=True, eq=False, kw_only=True)
class Record(NeuronProgram):
    def start(self, shape):
        return zeros(shape, "best")

    def step(self, state, drive, t):
        better = drive > state["best"]
        return {"best": np.maximum(state["best"], drive)}, np.where(better, drive, 0)


weights = np.array([[1, 1, 1], [1, 0, -1]], np.int8)
layers = (
    Programmed(name="record", program=Record()),
    Dense(name="mix", weight=weights, weight_grid=Grid(1.0)),
    Programmed(name="sum", program=SigmaProgram()),
)
own = Network(layers=layers, input_shape=(3,), grids={"input": Grid(1.0)}, steps=4)
frames = np.array([[[1, 5, 2], [3, 4, 2], [2, 6, 9], [0, 0, 0]]])
run = ne.spiking.run_frames(own, frames)
print(run.outputs[0, 0], run.counts["record"].by_step)
print(ne.place(own, ne.chips.LOIHI2).table())
