"""Extract the Loihi goldens of this folder from their public sources; see LOIHI.md for origin and licence.

Usage: python make_loihi_golden.py FOLDER, where FOLDER holds loihi_golden/pilotnet_fc and loihi_golden/tinynet_sdnn
(from lava-dl's tests) and nir/lif (from the NIR paper's repository). Needs h5py. Not run by the tests: they read the
files it writes.
"""

import sys
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).parent


def pilotnet(folder):
    """Fully connected layers of PilotNet on Loihi: weights (out, in), bias mantissa, and 24 steps of s, u, v."""
    arrays = {"conv-4_s": np.packbits(np.load(folder / "conv-4.npy").transpose(2, 1, 0, 3).reshape(2560, 24))}
    with h5py.File(folder / "network.net.h5") as file:
        for number, layer in enumerate((7, 8, 9)):
            group = file[f"layer/{layer}"]
            assert (int(group["neuron/iDecay"][()]), int(group["neuron/vDecay"][()])) == (4096, 1024)
            assert int(group["neuron/vThMant"][()]) == 25 and int(group["neuron/refDelay"][()]) == 1
            arrays[f"fc-{number}_weight"] = group["weight"][()].astype(np.int8)
            arrays[f"fc-{number}_bias"] = group["bias"][()].astype(np.int8)
            assert (arrays[f"fc-{number}_weight"] == group["weight"][()]).all()
            arrays[f"fc-{number}_s"] = np.load(folder / f"fc-{number}.npy")
            arrays[f"fc-{number}_u"] = np.load(folder / f"fc-{number}-u.npy").astype(np.int32)
            arrays[f"fc-{number}_v"] = np.load(folder / f"fc-{number}-v.npy").astype(np.int32)
        arrays["fc-3_weight"] = file["layer/10/weight"][()].astype(np.int8)
        arrays["fc-3_u"] = np.load(folder / "fc-3-u.npy")[0].astype(np.int32)
        arrays["fc-3_v"] = np.load(folder / "fc-3-v.npy")[0].astype(np.int32)
    np.savez_compressed(HERE / "loihi_pilotnet_fc.npz", **arrays)


def nir_lif(folder):
    """One leaky integrate-and-fire neuron on Loihi's fixed-point simulator: columns input, v, spike; 1,000 steps."""
    table = np.loadtxt(folder / "lif_lava_loihi_fixed.csv", delimiter=",").astype(np.int32)
    np.savez_compressed(HERE / "loihi_nir_lif.npz", input=table[:, 0], v=table[:, 1], spike=table[:, 2])


def tinynet(folder):
    """Neurons driven by biases and a convolution on Loihi, 16 steps.

    Spikes (C, H, W, T) of both, biases (H, W, C) and (O,), kernel (O, kH, kW, C), and the currents.
    """
    arrays = {name: np.load(folder / f"{name}.npy")[0].astype(np.int16) for name in ("input", "current")}
    arrays["kernel"] = np.load(folder / "layer1_kernel.npy").astype(np.int16)
    arrays["spikes"] = np.load(folder / "layer1.npy")[0].astype(bool)
    arrays |= {name: np.load(folder / f"{name}.npy").astype(np.int16) for name in ("input_bias", "layer1_bias")}
    np.savez_compressed(HERE / "loihi_tinynet.npz", **arrays)


def tinynet_sdnn(folder):
    """Three sigma-delta layers, each with the input and output that its test gives it; all numbers are whole."""
    arrays = {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}
    assert all((a == np.rint(a)).all() for a in arrays.values())
    np.savez_compressed(HERE / "loihi_tinynet_sdnn.npz", **{name: a.astype(np.int16) for name, a in arrays.items()})


if __name__ == "__main__":
    tinynet(Path(sys.argv[1]) / "loihi_golden" / "tinynet")
    tinynet_sdnn(Path(sys.argv[1]) / "loihi_golden" / "tinynet_sdnn")
    pilotnet(Path(sys.argv[1]) / "loihi_golden" / "pilotnet_fc")
    nir_lif(Path(sys.argv[1]) / "nir" / "lif")
