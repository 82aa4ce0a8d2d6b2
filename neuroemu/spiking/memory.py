"""Memory: axons, synapses and bits of synaptic memory that a projection takes on the core of a range of neurons.

Enter a projection, the range and the limits of a core; leave counts. A core that shares kernels stores a list of
synapses once for all axons that reach their targets with the same weights at the same distances: the list holds
distances, and each axon the neuron from which they count. A convolution has one list for each way in which its kernel
is cut at the edges of the image or of the core; without sharing it has one for each input neuron.
"""

import numpy as np

from .populations import BlockRows, Projection

BLOCK_SYNAPSES = 64  # synapses of a memory block; each block carries a header and is rounded up to 64-bit words
HEADER_BITS = 10
WORD_BITS = 64
MOST_BASE = 256  # an axon counts from a neuron below this; the rest of the distance stands in the list (nengo-loihi)
ODD = tuple(np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))  # of splitmix64


def projected(projection: Projection, first: int, stop: int, limits) -> tuple[int, int, int]:
    """Input axons, synapses and bits of synaptic memory of a projection on the core of targets first..stop-1.

    `synapses` are those that axons reach; fewer are stored where kernels are shared.
    """
    counts = synapses_into(projection.weights, first, stop)
    stored = counts[counts > 0]
    if limits.shared_kernels and len(projection.weights.table) < len(projection.weights.row):
        stored = counts[_first_of_its_kind(projection.weights, first, stop, counts)]
    index = np.where(stored == stop - first, 0, limits.index_bits)
    weight_bits = limits.weight_bits if projection.weight_bits is None else projection.weight_bits
    bits = weight_bits + projection.tag_bits + projection.delay.bit_length() + index
    blocks, rest = stored // BLOCK_SYNAPSES, stored % BLOCK_SYNAPSES
    memory = blocks * _rounded(BLOCK_SYNAPSES * bits + HEADER_BITS) + np.where(
        rest > 0, _rounded(rest * bits + HEADER_BITS), 0
    )
    return int(np.count_nonzero(counts)), int(counts.sum()), int(memory.sum())


def destinations(weights: BlockRows, ranges: list[tuple[int, int]]) -> np.ndarray:
    """Whether each input neuron reaches each range (first, stop) of targets, bool (inputs, ranges)."""
    return np.stack([synapses_into(weights, *span) > 0 for span in ranges], axis=1)


def synapses_into(weights: BlockRows, first: int, stop: int) -> np.ndarray:
    """Synapses from each input neuron to targets first..stop-1, int64 (inputs,). Zero weights take no synapse."""
    running = np.zeros((len(weights.table), weights.length + 1), np.int64)
    np.cumsum(weights.table != 0, axis=1, out=running[:, 1:])
    low, high = _inside(weights, first, stop)
    per_edge = running[weights.row, high] - running[weights.row, low]
    totals = np.concatenate([[0], np.cumsum(per_edge)])
    return totals[weights.indptr[1:]] - totals[weights.indptr[:-1]]


def _first_of_its_kind(weights: BlockRows, first: int, stop: int, counts: np.ndarray) -> np.ndarray:
    """One input neuron for each list of synapses that differs from all others.

    Lists are told apart by 64-bit hashes of their edges: the row, what of it lies on the core, and the distance.
    """
    low, high = _inside(weights, first, stop)
    edge = np.flatnonzero((high > low) & (counts > 0)[weights.source])
    if not len(edge):
        return edge
    source, start = weights.source[edge], (weights.target + low)[edge] - first
    heads = np.flatnonzero(np.diff(source, prepend=-1))
    base = np.minimum.reduceat(start, heads)
    cut = low[edge] * (weights.length + 1) + high[edge]
    distance = start - np.repeat(base, np.diff(heads, append=len(edge)))
    hashes = np.add.reduceat(_mixed(_mixed(_mixed(distance) + _word(weights.row[edge])) + _word(cut)), heads)
    _, chosen = np.unique(_mixed(hashes + _word(base // MOST_BASE)), return_index=True)
    return source[heads][chosen]


def _inside(weights: BlockRows, first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns low..high-1 of the row of each edge that reach targets first..stop-1."""
    return np.clip(first - weights.target, 0, weights.length), np.clip(stop - weights.target, 0, weights.length)


def _word(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int64).view(np.uint64)


def _mixed(values: np.ndarray) -> np.ndarray:
    """The finish of splitmix64 (Steele 2014, doi:10.1145/2714064.2660195)."""
    word = (values if values.dtype == np.uint64 else _word(values)) + ODD[0]
    word = (word ^ (word >> np.uint64(30))) * ODD[1]
    word = (word ^ (word >> np.uint64(27))) * ODD[2]
    return word ^ (word >> np.uint64(31))


def _rounded(bits):
    return -(-bits // WORD_BITS) * WORD_BITS
