"""The network of TrueNorth cores that comes with the package, put together from its packed file."""

from importlib import resources

import numpy as np

from ..network import Dense, Encode, Fire, Flatten, Grid, Network

LAYERS, LEVELS, CLASSES = 4, 3, 10
DARK = 127  # a pixel above it spikes


def mnist_truenorth_network() -> Network:
    """Thirty cores for MNIST that were trained for the chip: 16, 9, 4 and 1, and one tick an image.

    A core of the first layer sees 16 x 16 pixels, a core of another layer four neighbouring cores. Weights are thirds
    from -1 to 1: synapses that a chip sets by chance, so its copies differ and vote (`TRUENORTH` with `copies`). Each
    class has 25 output neurons. Trained by training/train_truenorth.py of the source tree. Input: pixels 0..255,
    (1, 28, 28); those above 127 spike.

    References
    ----------
    S. K. Esser et al., "Backpropagation for energy-efficient neuromorphic computing", NIPS 2015.
    """
    layers = [
        Encode(name="encode", coding="direct", code_max=255, threshold=64 * DARK),
        Flatten(name="pixels"),
    ]
    size = 28 * 28
    with (resources.files(__package__) / "mnist_truenorth.npz").open("rb") as file:
        with np.load(file, allow_pickle=False) as arrays:
            for index in range(LAYERS):
                weight, fire = _layer(arrays, index, size)
                layers += [weight, fire]
                size = len(weight.weight)
    votes = np.zeros((CLASSES, size), np.int8)
    votes[np.arange(size) % CLASSES, np.arange(size)] = 1
    layers.append(Dense(name="votes", weight=votes, weight_grid=Grid(1.0)))
    grids = {"input": Grid(1.0, zero_point=-128)}
    return Network(layers=tuple(layers), input_shape=(1, 28, 28), name="mnist_truenorth", grids=grids, steps=1)


def _layer(arrays, index: int, inputs: int) -> tuple[Dense, Fire]:
    """A layer of groups of neurons, each with 256 axons."""
    axons, leak, kinds = (arrays[f"{name}{index}"] for name in ("axons", "leak", "kinds"))
    groups, n = leak.shape
    levels = (arrays[f"levels{index}"][:, None] >> np.array([0, 2, 4, 6], np.uint8)) & 3
    signs = np.unpackbits(arrays[f"signs{index}"], count=groups * 4 * n).reshape(groups, 4, n)
    signed = levels.reshape(groups, -1, n).astype(np.int8) * (2 * signs.astype(np.int8) - 1)[:, kinds]
    weight = np.zeros((groups, n, inputs), np.int8)
    for group, (seen, values) in enumerate(zip(axons, signed, strict=True)):
        weight[group][:, seen] = values.T
    name = f"layer{index + 1}"
    return (
        Dense(name=name, weight=weight.reshape(groups * n, inputs), weight_grid=Grid(1 / LEVELS, bits=3)),
        Fire(name=f"{name}/fire", bias=leak.ravel(), cores=tuple(int(k) * n for k in arrays[f"cores{index}"])),
    )
