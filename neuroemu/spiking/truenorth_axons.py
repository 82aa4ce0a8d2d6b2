"""Weights as axon types: whole numbers enter, axon types and the crossbar bits that add up to them leave.

An axon has one of four types, and each neuron of a core has one weight for each type. Two ways to write the weights of
a core are tried, in this order:

- shared types: each input has one axon. Its type's weight for a neuron is its weight wherever the crossbar connects
  the two, as in networks trained for the chip (Esser et al., NIPS 2015, with +1 and -1 by type and neuron).
- digits: an input has up to four axons of different types with the same weights for all neurons, and a weight is the
  sum of some of them: 1, 2, 4 and -8 give all of -8..7.
"""

from functools import lru_cache
from itertools import combinations
from math import gcd

import numpy as np

from .truenorth_program import TYPES

MOST_VALUES = (1 << TYPES) - 1  # sums of some of four weights, but for 0
SEARCHED = 36  # candidates for a digit: C(36, 4) sets are tried
REACH = (-256, 255)


@lru_cache(maxsize=256)
def digits(values: tuple[int, ...]) -> tuple[tuple[int, ...], dict[int, int]] | None:
    """(weights by axon type, {value: bits of the types that add up to it}), or None if no four weights do.

    Parameters
    ----------
    values : tuple of int
        Different, none of them 0.

    Notes
    -----
    As few types as possible; among those, the set whose sums have the fewest terms.
    """
    if len(values) > MOST_VALUES:
        return None
    unit = gcd(*values) if values else 1
    wanted = np.array([value // unit for value in values], np.int64)
    candidates = _candidates(wanted, unit)
    for k in range(1, TYPES + 1):
        sets = np.array(list(combinations(candidates, k)), np.int64)
        if 1 << k > len(wanted) and len(sets):
            found = _best(sets, wanted)
            if found is not None:
                base, masks = found
                return tuple(unit * int(b) for b in base), dict(zip(values, masks, strict=True))
    return None


def _candidates(wanted, unit) -> list[int]:
    """Weights to choose from: small whole numbers, else the values themselves and powers of two."""
    top = int(np.abs(wanted).max(initial=0)) + 1
    every = range(-top, top + 1) if 2 * top <= SEARCHED else {*map(int, wanted), *_powers(top)}
    inside = [x for x in every if x and REACH[0] <= x * unit <= REACH[1]]
    return sorted(inside, key=lambda x: (abs(x), x < 0))[:SEARCHED]


def _powers(top):
    return {sign << n for n in range(top.bit_length() + 1) for sign in (1, -1)}


def _best(sets, wanted):
    """The set with the fewest terms in all sums, and the bits of each value; None if none gives all values."""
    k = sets.shape[1]
    bits = (np.arange(1 << k)[:, None] >> np.arange(k)) & 1
    sums, terms = sets @ bits.T, bits.sum(axis=1)
    cost = np.zeros(len(sets))
    for value in wanted:
        cost += np.where(sums == value, terms, np.inf).min(axis=1)
    best = int(np.argmin(cost))
    if not np.isfinite(cost[best]):
        return None
    masks = [int(np.where(sums[best] == value, terms, TYPES + 1).argmin()) for value in wanted]
    return sets[best], masks


def shared_types(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """(type of each axon (A,), weight by type and neuron (4, N)) with one axon an input, or None.

    Parameters
    ----------
    matrix : int (A, N)
        Weight of each axon for each neuron; 0: not connected.

    Notes
    -----
    Axons join the type with which they share most weights and contradict none, those with most synapses first. This
    finds the types of dense cores; it may miss those of sparse ones, which then take digits.
    """
    types = np.zeros(len(matrix), np.uint8)
    weights = np.zeros((TYPES, matrix.shape[1]), np.int64)
    used = 0
    for axon in np.argsort(-np.count_nonzero(matrix, axis=1), kind="stable"):
        row = matrix[axon]
        both = (row != 0) & (weights[:used] != 0)
        against = (both & (weights[:used] != row)).any(axis=1)
        agree = np.where(against, -1, both.sum(axis=1))
        if used and agree.max() >= 0:
            chosen = int(agree.argmax())
        elif used < TYPES:
            chosen, used = used, used + 1
        else:
            return None
        types[axon] = chosen
        weights[chosen] = np.where(row != 0, row, weights[chosen])
    return types, weights
