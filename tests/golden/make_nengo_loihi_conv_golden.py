"""Record the synaptic memory of shared convolutions in nengo-loihi 1.1.0; see LOIHI.md. Not run by the tests.

Usage, in an environment of its own (Python 3.11): pip install nengo-loihi==1.1.0 "numpy<2" "setuptools<80";
python make_nengo_loihi_conv_golden.py
"""

import json
import warnings
from pathlib import Path

import nengo
import numpy as np

warnings.simplefilter("ignore")
from nengo_loihi.block import Synapse  # noqa: E402
from nengo_loihi.builder.split_blocks import IndicesList, set_new_synapse_weights  # noqa: E402
from nengo_loihi.conv import conv2d_loihi_weights  # noqa: E402

SHAPES = (  # (height, width, channels), filters, kernel, stride, padding
    ((9, 9, 1), 4, (3, 3), (1, 1), "valid"),
    ((12, 12, 1), 6, (3, 3), (1, 1), "same"),
    ((11, 13, 1), 8, (5, 3), (2, 2), "valid"),
    ((16, 16, 1), 3, (3, 3), (2, 2), "same"),
    ((10, 10, 3), 8, (3, 3), (1, 1), "valid"),
    ((8, 8, 16), 5, (3, 3), (1, 1), "same"),
)


def synapse_of(shape, filters, kernel, strides, padding):
    weights = np.random.default_rng(0).uniform(1, 2, (*kernel, shape[2], filters))
    transform = nengo.Convolution(filters, shape, kernel_size=kernel, strides=strides, padding=padding, init=weights)
    synapse = Synapse(shape[0] * shape[1])
    synapse.set_population_weights(*conv2d_loihi_weights(transform))
    return synapse, int(transform.output_shape.size)


def figures(synapse):
    """Bits and copies as it counts them, and the same rule applied to each channel (one axon a neuron)."""
    form = synapse.synapse_cfg
    used = range(synapse.n_axons)
    if synapse.axon_compartment_bases is not None:
        used = [i for i in range(len(synapse.axon_to_weight_map)) if synapse.axon_compartment_bases[i] >= 0]
    return {
        "index_bits": form.real_idx_bits,
        "weight_bits": form.real_weight_bits,
        "bits": int(synapse.bits()),
        "bits_by_channel": int(sum(form.bits_per_axon(row.size) for w in synapse.weights for row in w)),
        "copies": len(synapse.weights),
        "axons": len(used),
    }


def part_of(synapse, first, stop):
    """The synapse as it is split for a core that holds compartments first .. stop - 1."""
    axons = {}
    for i, (weight, base) in enumerate(zip(synapse.axon_to_weight_map, synapse.axon_compartment_bases, strict=True)):
        if base >= 0:
            axons[i] = (weight, base, base + synapse.indices[weight][0], None)
    inside = {i: [c for c in found[2] if first <= c < stop] for i, found in axons.items()}
    reached = [i for i in axons if inside[i]]
    part = Synapse(len(reached))
    set_new_synapse_weights(synapse, axons, part, IndicesList(range(first, stop)), inside, reached)
    return part


def main():
    found = []
    for shape, filters, kernel, strides, padding in SHAPES:
        synapse, size = synapse_of(shape, filters, kernel, strides, padding)
        cuts = [(0, size // 3), (size // 3, 2 * size // 3 + 1), (size // 2, size)]
        row = {"input": shape, "filters": filters, "kernel": kernel, "stride": strides, "padding": padding}
        row["whole"] = figures(synapse)
        row["parts"] = [{"first": a, "stop": b, **figures(part_of(synapse, a, b))} for a, b in cuts]
        found.append(row)
        print(row["whole"], [part["bits"] for part in row["parts"]])
    path = Path(__file__).with_name("nengo_loihi_conv.json")
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in found) + "\n]\n")


if __name__ == "__main__":
    main()
