"""Turn the weights of train_truenorth.py into the file that ships: neuroemu/datasets/mnist_truenorth.npz.

    python make_truenorth_network.py --weights weights.npz --out mnist_truenorth.npz

A synapse takes two bits: its probability in thirds. Its sign follows from the type of its axon and its neuron.
"""

import argparse

import numpy as np


def kinds(layer: int) -> np.ndarray:
    """Type of each of the 256 axons of a core: of pixels by their place in 2 x 2 squares, else in turn."""
    axon = np.arange(256)
    return 2 * (axon // 16 % 2) + axon % 2 if layer == 0 else axon % 4


def packed(weights, layer: int) -> dict[str, np.ndarray]:
    """The arrays of a layer: weights (groups, 256, neurons) in signed thirds."""
    signed, levels = weights[f"weight{layer}"], np.abs(weights[f"weight{layer}"]).astype(np.uint8)
    by_kind = np.stack([signed[:, kinds(layer) == kind].sum(axis=1, dtype=np.int64) for kind in range(4)], axis=1)
    signs = by_kind >= 0
    if not np.array_equal(levels * np.where(signs[:, kinds(layer)], 1, -1), signed):
        raise SystemExit(f"layer {layer}: the signs are not those of four axon types")
    quarters = levels.reshape(-1, 4)
    return {
        f"levels{layer}": (quarters << np.array([0, 2, 4, 6], np.uint8)).sum(axis=1, dtype=np.uint8),
        f"signs{layer}": np.packbits(signs),
        f"kinds{layer}": kinds(layer).astype(np.uint8),
        f"leak{layer}": weights[f"leak{layer}"].astype(np.int8),
        f"axons{layer}": weights[f"axons{layer}"].astype(np.uint16),
        f"cores{layer}": weights[f"cores{layer}"].astype(np.uint8),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    with np.load(options.weights, allow_pickle=False) as weights:
        arrays = {key: value for layer in range(4) for key, value in packed(weights, layer).items()}
    np.savez_compressed(options.out, **arrays)


if __name__ == "__main__":
    main()
