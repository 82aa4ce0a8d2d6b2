"""Random streams: one seed at run, split by name, so that a stream's bits depend on nothing but its key.

A key is (seed, domain, trial, layer, tile ...). Programming and drift draw from numpy's Philox; the kernels draw
from their own counter-based generator, keyed by a 64-bit word made here.
"""

import numpy as np

DOMAINS = ("program", "drift", "read", "slow", "adc", "input", "neuron", "learn", "calibrate", "reference", "dac")


def generator(seed: int, domain: str, *key: int) -> np.random.Generator:
    """A numpy generator for the stream (seed, domain, *key)."""
    return np.random.Generator(np.random.Philox(_sequence(seed, domain, key)))


def stream_word(seed: int, domain: str, *key: int) -> int:
    """A 64-bit key for the kernels' counter-based generator."""
    return int(_sequence(seed, domain, key).generate_state(1, np.uint64)[0])


def _sequence(seed, domain, key):
    return np.random.SeedSequence(entropy=seed, spawn_key=(DOMAINS.index(domain), *key))
