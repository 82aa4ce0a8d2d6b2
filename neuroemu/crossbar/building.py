"""Building: a chip, a network's layer and the layer's samples become a programmed LayerEngine."""

from dataclasses import replace

import numpy as np

from .. import _streams
from ..network import layers as L
from ..network.graph import Network
from . import mapping
from .cells import Layout, even_share
from .compensation import Samples, compensated
from .engine import LayerEngine, Tally, part_of
from .programming import Weights, effective_weights, program
from .tables import Tables, tables_of, with_static_errors


def build_engine(
    chip, network: Network, layer: L.Weighted, *, index: int, sampled, seed: int, trial: int, threads: int
) -> LayerEngine:
    """Layer number `index` as programmed on one chip.

    `sampled` (S, K) are row inputs for ranges and compensation, or None where neither is needed.
    """
    layout = chip.layout(layer)
    tiles = mapping.tiles_of(layout, chip.rows)
    high = even_share(len(layout.levels), chip.rows)
    shape = (-(-len(layout.levels) // high), layout.levels.shape[1])
    widest = widest_input(network, layer)
    scale = chip.dac.scale(widest)
    planes = planes_of(chip, network, layer)
    samples = None if sampled is None else _samples(sampled, chip, scale, planes)
    tables = _tables(chip, network, layer, layout, tiles, shape, samples, key=(seed, trial, index))
    weights = _weights(chip, network, layer, layout, tiles, planes, key=(seed, trial, index))
    arrays = np.bincount(np.array([tile.row_tile for tile in tiles], int), minlength=shape[0])
    built = LayerEngine(
        layer=layer, shape=network.shapes[layer.name], layout=layout, rows_per_tile=high, dac=chip.dac,
        dac_scale=scale, inputs=chip.inputs, planes=planes, adc=chip.adc, tables=tables, seed=seed, threads=threads,
        arrays=arrays, known=_known(layout, tables),
        parts=_parts(weights, high, shape[0], tables.edges is not None, (seed, trial, index)),
    )  # fmt: skip
    if chip.compensation == "none":
        return built
    fitted = compensated(built, weights, tiles, samples, chip.compensation)
    return replace(built, tables=fitted, tally=Tally())


def widest_input(network: Network, layer: L.Weighted) -> int:
    """Largest magnitude of the layer's inputs less their zero point."""
    grid = network.grids[layer.inputs[0]]
    return max(grid.high - grid.zero_point, grid.zero_point - grid.low)


def planes_of(chip, network: Network, layer: L.Weighted) -> int:
    """Reads of one row vector."""
    widest = widest_input(network, layer)
    return chip.inputs.planes(widest if chip.dac.limit is None else min(widest, chip.dac.limit))


def positions(network: Network, layer: L.Weighted) -> int:
    """Row vectors of one inference: positions of a convolution, or rows of a Dense input."""
    return int(np.prod(network.shapes[layer.name])) // layer.weight.shape[0]


def _samples(sampled: np.ndarray, chip, scale: float, planes: int) -> Samples:
    steps = chip.dac.steps(sampled, scale)
    if not chip.inputs.splits:
        return Samples(sampled, steps.astype(np.float64))
    split = np.concatenate(list(chip.inputs.split(steps, planes)))
    lively = split[split.any(axis=1)]
    lively = lively if len(lively) else split[:1]
    return Samples(lively, lively.astype(np.float64))


def _tables(chip, network, layer, layout: Layout, tiles, shape, samples, *, key) -> Tables:
    grid = network.grids[layer.inputs[0]]
    widest = widest_input(network, layer)
    largest_drive = widest if chip.dac.limit is None else chip.dac.limit
    top = chip.mapping.top(mapping.largest_code(layer))
    span = (chip.device.g_max - chip.device.g_min) * chip.mapping.copies
    nominal = tables_of(
        layout, tiles, shape, None if samples is None else samples.steps, chip.adc,
        one_signed=chip.mapping.one_signed and grid.low >= grid.zero_point,
        unit=chip.dac.v_read / chip.inputs.full_drive(largest_drive) * span / top,
    )  # fmt: skip
    return with_static_errors(nominal, tiles, chip.adc, seed=key[0], trial=key[1], layer=key[2])


def _known(layout: Layout, tables: Tables) -> np.ndarray | None:
    """(T, M): what zero weights add to the outputs per drive step of each row tile, on the arrays that exist."""
    return None if layout.zero is None else layout.outputs((tables.back != 0) * layout.zero)


def _weights(chip, network, layer, layout: Layout, tiles, planes: int, *, key) -> Weights:
    top = chip.mapping.top(mapping.largest_code(layer))
    seed, trial, index = key
    programmed = program(
        layout.levels, tiles, top, chip.device, mapping=chip.mapping, seed=seed, trial=trial, layer=index
    )
    return effective_weights(
        programmed, layout.levels.shape, top, chip.device, seconds=chip.seconds,
        spans=(chip.image_seconds, chip.session_seconds), key=key,
        merge_slow=positions(network, layer) * planes == 1,
    )  # fmt: skip


def _parts(weights: Weights, high: int, n_row_tiles: int, apart: bool, key):
    """One part with all rows, or one for each row tile where codes are looked up before they are summed."""
    seed, *rest = key
    height = len(weights.mean)
    if not apart:
        streams = tuple(_streams.stream_word(seed, domain, *rest) for domain in ("read", "slow"))
        return (part_of(weights, slice(0, height), slice(0, n_row_tiles), high, streams),)
    parts = []
    for t in range(n_row_tiles):
        rows = slice(t * high, min((t + 1) * high, height))
        streams = tuple(_streams.stream_word(seed, domain, *rest, t) for domain in ("read", "slow"))
        parts.append(part_of(weights, rows, slice(t, t + 1), high, streams))
    return tuple(parts)
