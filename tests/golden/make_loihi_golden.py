"""Extract the Loihi goldens of this folder from their public sources; see LOIHI.md for origin and licence.

Usage: python make_loihi_golden.py FOLDER, where FOLDER holds loihi_golden/pilotnet_fc (from lava-dl's tests) and
nir/lif (from the NIR paper's repository). Needs h5py. Not run by the tests: they read the two files it writes.
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


if __name__ == "__main__":
    pilotnet(Path(sys.argv[1]) / "loihi_golden" / "pilotnet_fc")
    nir_lif(Path(sys.argv[1]) / "nir" / "lif")
