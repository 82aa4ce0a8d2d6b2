"""Train the network of TrueNorth cores that ships inside the package.

Enters: the four MNIST idx.gz files (``--data``). Leaves: ``weights.npz`` (``--out``), described in README.md beside
this file, and a table of accuracies on standard output.

Thirty cores in four layers of 16, 9, 4 and 1. A core of the first layer sees 16 x 16 pixels; a core of another layer
sees four neighbouring cores, 64 neurons of each. Each neuron feeds one axon, and an axon has one of four types, whose
weight is +1 or -1 for each neuron, fixed. Trained is the probability that a synapse is there (0 to 1) and the leak of a
neuron. A neuron spikes where the sum is at least 1 and forgets everything else, so an image takes one tick a layer.

As in Esser et al., "Backpropagation for energy-efficient neuromorphic computing", NIPS 2015, a synapse is set with its
probability when a core is programmed, and several copies with other draws vote. Here every training batch runs with
synapses that are drawn for it: the forward pass is that of a programmed chip, spikes of 0 and 1 included. The backward
pass puts a smooth step in place of the threshold and passes the gradient of a drawn synapse to its probability.
Probabilities are pushed away from 1/2, ever more, so that most end at 0 or 1: one copy gains, and the file is small.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from train_mnist import augment, load

PATCH, PLACES = 16, (0, 4, 8, 12)  # pixels of a side of a core's field, and where fields begin
AXONS, CLASSES = 256, 10
QUARTER = AXONS // 4  # neurons that a core sends to one core of the next layer
SIDES = (4, 3, 2, 1)  # cores along a side, by layer
VOTES = 25  # neurons a class
LEVELS = 3  # probabilities are stored as multiples of 1/3
PUSH = 0.1  # away from probability 1/2 at the end of training, as a share of the learning rate
DARK = 127  # a pixel above it spikes
WIDTH = 12.0  # of the smooth step, in units of a synapse
DENSITY = 0.4  # share of the synapses that training starts with
SHARPNESS = 10.0  # logits are this times the share of a class's neurons that spike


def groups(layer):
    """(source core, quarter) of the groups of neurons of a layer, by source core: 64 each, 250 in the last."""
    if layer == 3:
        return [(0, 0)]
    here, there = SIDES[layer], SIDES[layer + 1]
    found = []
    for core in range(here * here):
        y, x = divmod(core, here)
        for quarter in range(4):  # the core of the next layer that lies (dy, dx) up and left of this one
            dy, dx = divmod(quarter, 2)
            if 0 <= y - dy < there and 0 <= x - dx < there:
                found.append((core, quarter))
    return found


def wiring(layer):
    """Axons of each group: numbers of pixels or of neurons of the layer before, (groups, 256)."""
    if layer == 0:
        fields = []
        for core, _ in groups(0):
            y, x = (PLACES[n] for n in divmod(core, 4))
            fields.append((torch.arange(y, y + PATCH)[:, None] * 28 + torch.arange(x, x + PATCH)).flatten())
        return torch.stack(fields)
    before = {key: index for index, key in enumerate(groups(layer - 1))}
    side, found = SIDES[layer], []
    for core, _ in groups(layer):
        y, x = divmod(core, side)
        sources = [((y + dy) * SIDES[layer - 1] + x + dx, 2 * dy + dx) for dy in (0, 1) for dx in (0, 1)]
        found.append(torch.cat([torch.arange(QUARTER) + QUARTER * before[source] for source in sources]))
    return torch.stack(found)


def signs(layer, generator):
    """Weight of each axon for each neuron, +1 or -1, (groups, 256, neurons): two of four types pull up."""
    kinds = torch.arange(AXONS) % 4
    if layer == 0:  # the four pixels of a 2 x 2 square have four types
        y, x = torch.arange(PATCH)[:, None], torch.arange(PATCH)
        kinds = (2 * (y % 2) + x % 2).flatten()
    pairs = torch.tensor([(1, 1, -1, -1), (1, -1, 1, -1), (1, -1, -1, 1)])
    pairs = torch.cat([pairs, -pairs]).float()
    n = VOTES * CLASSES if layer == 3 else QUARTER
    chosen = torch.randint(6, (len(groups(layer)), n), generator=generator)
    return pairs[chosen][:, :, kinds].transpose(1, 2).contiguous()


class Spike(torch.autograd.Function):
    """1 where v >= 1; backward: the slope of a smooth step around 1/2."""

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v >= 1).float()

    @staticmethod
    def backward(ctx, grad):
        (v,) = ctx.saved_tensors
        return grad * (1 - ((v - 0.5) / WIDTH).abs()).clamp_(min=0) / WIDTH


class Net(torch.nn.Module):
    """Probabilities and leaks of four layers."""

    def __init__(self, generator):
        super().__init__()
        self.wires = [wiring(layer) for layer in range(4)]
        self.signs = [signs(layer, generator) for layer in range(4)]
        start = [(torch.rand(s.shape, generator=generator) < DENSITY).float() * 0.9 + 0.05 for s in self.signs]
        self.p = torch.nn.ParameterList(start)
        self.leak = torch.nn.ParameterList([torch.zeros(s.shape[0], s.shape[2]) for s in self.signs])

    def forward(self, x, connect):
        """Votes (B, 10), 0 to 1, of binary pixels (B, 784); `connect` makes probabilities to synapses of 0 and 1."""
        for layer, (wires, sign, p, leak) in enumerate(zip(self.wires, self.signs, self.p, self.leak, strict=True)):
            seen = x.T[wires.flatten()].view(*wires.shape, len(x)).transpose(1, 2)
            v = torch.bmm(seen, connect(p, layer) * sign) + rounded(leak)[:, None]
            x = Spike.apply(v).transpose(0, 1).reshape(len(x), -1)
        return x.view(len(x), VOTES, CLASSES).mean(1)


def rounded(leak):
    """The nearest whole number, with the gradient of the number."""
    return leak + (leak.detach().round() - leak.detach())


def drawn(generator):
    """Synapses drawn with their probability; the gradient of a synapse is that of its probability."""
    return lambda p, layer: p + ((torch.rand(p.shape, generator=generator) < p).float() - p.detach())


def stored(net):
    """Probabilities as multiples of 1 / LEVELS."""
    return [(p.detach() * LEVELS).round().to(torch.int8) for p in net.p]


def accuracy(net, x, y, copies, generator):
    """Share of the images that the summed votes of so many drawn copies get right, with stored probabilities."""
    total, levels = torch.zeros(len(x), CLASSES), [c.float() / LEVELS for c in stored(net)]
    with torch.no_grad():
        for _ in range(copies):
            synapses = [(torch.rand(p.shape, generator=generator) < p).float() for p in levels]
            parts = [net(part, lambda p, layer, s=synapses: s[layer]) for part in x.split(500)]
            total += torch.cat(parts)
    return float((total.argmax(1) == y).float().mean())


def train(net, x, y, epochs, batch, rate, generator):
    """Adam with a rate that falls to zero along a cosine; probabilities stay within 0 and 1."""
    optimizer = torch.optim.Adam(
        [{"params": list(net.p), "lr": rate}, {"params": list(net.leak), "lr": 10 * rate}], betas=(0.9, 0.99)
    )
    steps = epochs * (len(x) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    connect, start = drawn(generator), time.time()
    for epoch in range(epochs):
        order, loss_sum = torch.randperm(len(x), generator=generator), 0.0
        for first in range(0, len(x) - batch + 1, batch):
            index = order[first : first + batch]
            pixels = (augment(x[index], generator) * 255 > DARK).float().flatten(1)
            loss = F.cross_entropy(SHARPNESS * net(pixels, connect), y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            push = PUSH * schedule.get_last_lr()[0] * epoch / epochs
            with torch.no_grad():
                for p in net.p:
                    p.add_(2 * p - 1, alpha=push).clamp_(0, 1)
            loss_sum += float(loss.detach())
        print(f"epoch {epoch + 1:3d}  loss {loss_sum * batch / len(x):.4f}  {time.time() - start:5.0f} s", flush=True)
        yield epoch


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of the MNIST files")
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--rate", type=float, default=0.004)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--test", action="store_true", help="look at the test images at the end")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(options.seed)
    images, labels = load(options.data, "train")
    x, y = images[:55_000], labels[:55_000]
    held, held_y = (images[55_000:] * 255 > DARK).float().flatten(1), labels[55_000:]
    net = Net(generator)
    for epoch in train(net, x, y, options.epochs, options.batch, options.rate, generator):
        if epoch % 5 == 4:
            print(f"           held out: {100 * accuracy(net, held, held_y, 1, generator):.2f} %", flush=True)
            save(net, options.out)
    save(net, options.out)
    parts = {"held out": (held, held_y)}
    if options.test:
        images, labels = load(options.data, "t10k")
        parts["test"] = (images * 255 > DARK).float().flatten(1), labels
    for name, (pixels, truth) in parts.items():
        for copies in (1, 4, 16):
            print(
                f"{name}, {copies:2d} copies: {100 * accuracy(net, pixels, truth, copies, generator):.2f} %", flush=True
            )


def save(net, path):
    """Signed probabilities, leaks and axons of each layer, for make_truenorth_network.py."""
    arrays = {}
    for layer, (levels, sign, leak, wires) in enumerate(zip(stored(net), net.signs, net.leak, net.wires, strict=True)):
        arrays[f"weight{layer}"] = (levels * sign.to(torch.int8)).numpy()
        arrays[f"leak{layer}"] = leak.detach().round().to(torch.int16).numpy()
        arrays[f"axons{layer}"] = wires.to(torch.int32).numpy()
        arrays[f"cores{layer}"] = np.bincount([core for core, _ in groups(layer)]).astype(np.int32)
    np.savez_compressed(Path(path), **arrays)


if __name__ == "__main__":
    main()
