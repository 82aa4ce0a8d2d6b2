"""Folding: where nothing is lost in a read, planes and slices are added up before the product instead of behind it.

Enter an engine and its weights, leaves an engine that takes one product; its counts stay those of all reads.
"""

from dataclasses import replace

import numpy as np

from .. import kernels
from .engine import LayerEngine
from .exactness import EXACT_BITS
from .programming import Weights


def with_folded_reads(engine: LayerEngine, weights: Weights, largest_drive: int) -> LayerEngine:
    """The engine with one product in place of one for each plane and slice, where sums are linear and without noise.

        sum_p w_p (d_p W) = d W,   W'_km = sum_n factors[n] back[t(k), terms[n, m]] W[k, terms[n, m]]

    Nothing is lost: sums that float32 would round, and planes and slices would not, are taken in float64. Slow noise is
    shared by planes, but is drawn for each physical column, so it keeps slices apart.
    """
    layout, splits = engine.layout, engine.inputs.splits
    slices = len(layout.terms) > 1 or (layout.factors != 1).any()
    if not engine.is_linear or not (splits or slices) or (slices and weights.slow_sigma is not None):
        return engine
    gain = engine.tables.back.astype(np.float64)[np.arange(len(weights.mean)) // engine.rows_per_tile]
    mean = layout.outputs(weights.mean * gain).astype(np.float32)
    sigma = None if weights.slow_sigma is None else (weights.slow_sigma * gain).astype(np.float32)
    largest_sum = float(largest_drive) * np.abs(mean).sum(axis=0).max()
    wide = engine.part.packed.exact or largest_sum >= 2.0**24
    folded = kernels.crossbar.pack(mean, None, sigma, engine.rows_per_tile, exact=wide)
    if wide and folded.exact_bits(largest_drive) > EXACT_BITS:
        return engine
    return replace(engine, folded=folded)
