"""NumPy twin of the graded kernel: the specification, in int64, as plain as it can be said.

In: messages with integer payloads and one set of synapses. Out: what they add to the sums of their targets. A message
is a graded spike of Loihi 2: a spike that carries a number, by which the weights of its synapses are multiplied.

Array letters: M lines of messages (images x steps), I inputs, N neurons, E edges, L weights in a row.
"""

import numpy as np


def add_messages(payload, *, indptr, target, row, weights, sums, threads=1):
    """Add messages to the sums of their targets, in place.

    ::

        sums[m, target[e] + k] += payload[m, i] * weights[row[e], k]        for the edges e of each input i, k < L

    Parameters
    ----------
    payload : int32 (M, I)
        0 where an input sends nothing.
    indptr : int32 (I + 1,)
        Input i owns the edges indptr[i] .. indptr[i + 1] - 1. A dense layer has one edge an input (L = N), a
        convolution in channel-last neuron order kernel height x width edges (L = output channels).
    target : int32 (E,)
        First neuron that the edge reaches; it reaches target .. target + L - 1.
    row : int32 (E,)
        Row of the weight table that the edge adds.
    weights : int16 (rows, L)
    sums : int32 (M, N)
        Added to. No sum may leave 32 bits: `largest_sum` bounds it beforehand.
    threads : int
        Lines worked on in parallel; no effect on any value (and none here).
    """
    for m, line in enumerate(np.asarray(payload, np.int64)):
        total = np.asarray(sums[m], np.int64)
        for i in np.flatnonzero(line):
            for e in range(indptr[i], indptr[i + 1]):
                total[target[e] : target[e] + weights.shape[1]] += line[i] * weights[row[e]].astype(np.int64)
        if total.size and np.abs(total).max() >= 2**31:
            raise OverflowError("graded twin: a sum left 32 bits")
        sums[m] = total


def largest_sum(largest_payload, *, indptr, target, row, weights, n) -> int:
    """A bound of every |sum|, in any order of addition: the largest payload times a neuron's sum of |weights|."""
    length = weights.shape[1]
    used = np.abs(weights.astype(np.int64))
    at_neuron = np.zeros(n, np.int64)
    for k in range(length):
        np.add.at(at_neuron, np.asarray(target, np.int64) + k, used[np.asarray(row, np.int64), k])
    return int(at_neuron.max(initial=0)) * int(largest_payload)
