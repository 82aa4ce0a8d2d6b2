"""weights.npz of train_mnist.py -> neuroemu/datasets/mnist_cnn.npz, the embedded network with 512 training images.

    python training/make_network.py --weights weights.npz --data FOLDER --out neuroemu/datasets/mnist_cnn.npz

Activations are clipped at the thresholds that the network was trained with; pixels 0..255 are scaled by a layer.
"""

import argparse
import json

import numpy as np

import neuroemu as ne
from neuroemu.network import Clip, Conv2d, Dense, Flatten, Scale, sequential

SAMPLES = 512


def network(weights) -> ne.Network:
    """The network of the arrays that train_mnist.py wrote."""
    meta = json.loads(str(weights["meta"]))
    layers = [Scale(name="pixels", scale=meta["pixel_scale"])]
    settings = zip(meta["layers"][:-1], meta["strides"], meta["paddings"], weights["thresholds"], strict=True)
    for number, (name, stride, padding, threshold) in enumerate(settings, start=1):
        kernel = {"weight": weights[f"{name}.weight"], "bias": weights[f"{name}.bias"]}
        layers.append(Conv2d(name=name, stride=stride, padding=padding, **kernel))
        layers.append(Clip(name=f"relu{number}", low=0.0, high=float(threshold)))
    layers.append(Flatten(name="flatten"))
    layers.append(Dense(name="dense", weight=weights["dense.weight"], bias=weights["dense.bias"]))
    return sequential(layers, input_shape=meta["input_shape"], name="mnist_cnn")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True, help="folder of the MNIST training files")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    images, _ = ne.datasets.mnist_train(SAMPLES, folder=options.data)
    with np.load(options.weights, allow_pickle=False) as weights:
        made = network(weights)
    ne.save(made.replace(samples=images), options.out)
    print(made)


if __name__ == "__main__":
    main()
