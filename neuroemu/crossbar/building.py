"""Building: a chip, a network's layer and the layer's samples become a programmed LayerEngine."""

from dataclasses import dataclass, replace

import numpy as np

from .. import _streams
from ..network import layers as L
from ..network.graph import Network
from . import mapping
from .binary import with_counted_reads
from .cells import Layout
from .compensation import Aged, Samples
from .correction import layout_in_turn, program_in_turn
from .drivers import Drivers, drivers_of
from .engine import LayerEngine, Part, Tally, part_of
from .exactness import refuse_rounded_sums
from .folding import with_folded_reads
from .heat import EVENT as HEAT
from .heat import heat_of
from .inputs import InputScheme
from .neurons import AnalogNeurons
from .power_series import PowerSeries
from .programming import ProgrammedTile, Weights, effective_weights, program, program_references
from .tables import Tables, tables_of, with_static_errors
from .wired import wired_weights
from .writes import writes_of


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What a calibration leaves of one layer: its converters' numbers, and a gain and offset of each output."""

    tables: Tables
    correction: tuple[np.ndarray, np.ndarray] | None = None


def program_cells(chip, network: Network, *, seed: int, trial: int) -> dict[str, tuple[ProgrammedTile, ...]]:
    """The cells of every layer on one chip."""
    key = {"seed": seed, "trial": trial}
    return {layer.name: program_layer(chip, layer, index=index, **key) for index, layer in enumerate(network.weighted)}


def engines_of(
    chip, network: Network, cells, sampled, *, made: tuple[int, int], seed: int, trial: int, threads: int,
    calibration=None,
) -> dict[str, LayerEngine]:  # fmt: skip
    """The engine of every layer, read from `cells`; compensated now, or with an earlier `calibration` by layer."""
    chip, engines = chip.reading(network), {}
    for index, layer in enumerate(network.weighted):
        engines[layer.name] = engine_from(
            chip, network, layer, cells[layer.name], index=index, sampled=sampled.get(layer.name), made=made,
            seed=seed, trial=trial, threads=threads, held=None if calibration is None else calibration[layer.name],
        )  # fmt: skip
    return engines if calibration is not None else chip.compensation.corrected(network, engines)


def program_layer(chip, layer: L.Weighted, *, index: int, seed: int, trial: int) -> tuple[ProgrammedTile, ...]:
    """The cells of layer number `index` on one chip."""
    layout = chip.layout(layer)
    key = {"seed": seed, "trial": trial, "layer": index}
    top = chip.mapping.top(mapping.largest_code(layer))
    tiles = mapping.tiles_of(layout)
    if chip.mapping.in_turn:
        programmed = program_in_turn(layout, tiles, top, chip.device, mapping=chip.mapping, **key)
    else:
        programmed = program(layout.levels, tiles, top, chip.device, mapping=chip.mapping, **key)
    columns = chip.compensation.reference_columns
    if not columns:
        return programmed
    return program_references(programmed, layout.levels, top, chip.device, mapping=chip.mapping, columns=columns, **key)


def build_engine(
    chip, network: Network, layer: L.Weighted, *, index: int, sampled, seed: int, trial: int, threads: int
) -> LayerEngine:
    """Layer number `index`, programmed and compensated on a chip of its own."""
    programmed = program_layer(chip, layer, index=index, seed=seed, trial=trial)
    key = {"made": (seed, trial), "seed": seed, "trial": trial}
    return engine_from(chip, network, layer, programmed, index=index, sampled=sampled, threads=threads, **key)


def engine_from(
    chip, network: Network, layer: L.Weighted, programmed: tuple[ProgrammedTile, ...], *, index: int, sampled,
    made: tuple[int, int], seed: int, trial: int, threads: int, held: Calibrated | None = None,
) -> LayerEngine:  # fmt: skip
    """Layer number `index` as read from programmed cells.

    `sampled` (S, K) are row inputs for ranges and compensation, or None where neither is needed. `made` is the (seed,
    trial) that the chip was programmed with, which its converters' errors belong to; (seed, trial) keys its reads.
    `held` is an earlier calibration; None: ranges and compensation are computed here.
    """
    layout, top = chip.layout(layer), chip.mapping.top(mapping.largest_code(layer))
    writes = 0 if chip.writing is None else writes_of(programmed, layout, top, chip.device, chip.mapping)
    if chip.mapping.in_turn:
        layout = layout_in_turn(layout, programmed, top, chip.device)
    tiles = [cells.tile for cells in programmed]
    high = layout.rows_per_tile
    shape = (-(-len(layout.levels) // high), layout.levels.shape[1])
    widest = widest_input(network, layer)
    scale, largest = chip.dac.scale(widest), largest_drive(chip, network, layer)
    planes, scheme = planes_of(chip, network, layer), scheme_of(chip, network, layer)
    samples = None if sampled is None else _samples(layout.driven(sampled), chip, scheme, scale, planes)
    if held is not None:
        tables = held.tables
    else:
        tables = _tables(chip, network, layer, layout, tiles, shape, samples, key=(*made, index))
    spans = (chip.image_seconds, chip.session_seconds)
    aged_at, wired, loss = {"seconds": chip.seconds, "spans": spans, "key": (seed, trial, index)}, None, 0.0
    if chip.wires is None:
        once = positions(network, layer) * planes * (network.steps or 1) == 1
        weights = effective_weights(programmed, layout.levels.shape, top, chip.device, merge_slow=once, **aged_at)
    else:
        weights, wired, loss = wired_weights(
            programmed, layout.levels.shape, top, chip.device, wires=chip.wires, noise=chip.noise_in_wires,
            rows_per_tile=high, threads=threads, **aged_at,
        )  # fmt: skip
    conduction = _conduction(chip, network, layer)
    if conduction is not None:
        step = (chip.device.g_max - chip.device.g_min) / chip.mapping.top(mapping.largest_code(layer))
        weights = conduction.of(programmed, weights, chip.device, seconds=chip.seconds, step=step)
    drivers = _drivers(chip, network, layer, layout, key=(*made, index))
    arrays = np.bincount(np.array([tile.row_tile for tile in tiles], int), minlength=shape[0])
    built = LayerEngine(
        layer=layer, shape=network.shapes[layer.name], layout=layout, rows_per_tile=high, dac=chip.dac,
        dac_scale=scale, inputs=scheme, planes=planes, adc=chip.adc, tables=tables, seed=seed, threads=threads,
        arrays=arrays, known=_known(layout, tiles, shape), conduction=conduction, drivers=drivers, wired=wired,
        wire_loss=loss, writes=writes, part=_part(
            weights, layout, shape[0], key=(seed, trial, index), exact=chip.arithmetic == "float64", drivers=drivers
        ),
    )  # fmt: skip
    refuse_rounded_sums(chip, layer, built, largest)
    if held is not None:
        built = replace(built, correction=held.correction)
    else:
        aged = Aged(programmed, weights, samples, chip.device, chip.seconds, (seed, trial, index))
        built = replace(built, tables=chip.compensation.tables(built, aged), tally=Tally())
    if counts_heat(chip, network):
        built = replace(built, heat=heat_of(programmed, len(layout.levels), chip, scheme, planes, largest))
    return built if wired is not None else with_counted_reads(with_folded_reads(built, weights, largest), weights)


def widest_input(network: Network, layer: L.Weighted) -> int:
    """Largest magnitude of the layer's inputs less their zero point; 1 for spikes."""
    if network.spiking:
        return 1
    grid = network.grids[layer.inputs[0]]
    return max(grid.high - grid.zero_point, grid.zero_point - grid.low)


def counts_heat(chip, network: Network) -> bool:
    """Whether the cells' heat is counted: where the chip's prices name it, cells are ohmic, and pulses are reads."""
    costs = chip.costs
    named = bool(costs.of(HEAT)) or HEAT in costs.covered or HEAT in costs.free
    return named and chip.device.iv is None and not (network.spiking and isinstance(chip.neurons, AnalogNeurons))


def can_be_negative(network: Network, layer: L.Weighted) -> bool:
    """Whether the layer's inputs less their zero point can be negative; spikes cannot."""
    if network.spiking:
        return False
    grid = network.grids[layer.inputs[0]]
    return grid.low < grid.zero_point


def scheme_of(chip, network: Network, layer: L.Weighted) -> InputScheme:
    """How the layer's rows are driven."""
    return chip.inputs.of_layer(signed=can_be_negative(network, layer))


def planes_of(chip, network: Network, layer: L.Weighted) -> int:
    """Reads of one row vector."""
    widest = widest_input(network, layer)
    return scheme_of(chip, network, layer).planes(widest if chip.dac.limit is None else min(widest, chip.dac.limit))


def largest_drive(chip, network: Network, layer: L.Weighted) -> int:
    """Drive steps of full scale."""
    return widest_input(network, layer) if chip.dac.limit is None else chip.dac.limit


def current_unit(chip, network: Network, layer: L.Weighted) -> float:
    """Column current, amperes, of one drive step into a cell of one level."""
    top = chip.mapping.top(mapping.largest_code(layer))
    span = (chip.device.g_max - chip.device.g_min) * chip.mapping.copies
    return chip.dac.v_read / chip.inputs.full_drive(largest_drive(chip, network, layer)) * span / top


def positions(network: Network, layer: L.Weighted) -> int:
    """Row vectors of one inference: positions of a convolution, or rows of a Dense input."""
    return int(np.prod(network.shapes[layer.name])) // layer.weight.shape[0]


def _samples(sampled: np.ndarray, chip, scheme: InputScheme, scale: float, planes: int) -> Samples:
    steps = chip.dac.steps(sampled, scale)
    if not scheme.splits:
        return Samples(sampled, steps.astype(np.float64))
    split = np.concatenate(list(scheme.split(steps, planes)))
    lively = split[split.any(axis=1)]
    lively = lively if len(lively) else split[:1]
    return Samples(lively, lively.astype(np.float64))


def _conduction(chip, network: Network, layer: L.Weighted) -> PowerSeries | None:
    """How the layer's cells conduct; None for ohmic ones."""
    if chip.device.iv is None:
        return None
    scheme = scheme_of(chip, network, layer)
    return PowerSeries(
        chip.device.iv, chip.dac.v_read, scheme.full_drive(largest_drive(chip, network, layer)),
        held=scheme.holds_voltage, signed=scheme.phases == 1 and can_be_negative(network, layer),
    )  # fmt: skip


def _tables(chip, network, layer, layout: Layout, tiles, shape, samples, *, key) -> Tables:
    adc, scheme = chip.adc.of_layer(layer.name), scheme_of(chip, network, layer)
    nominal = tables_of(
        layout, tiles, shape, None if samples is None else samples.steps, adc,
        one_signed=chip.mapping.one_signed and (scheme.phases == 2 or not can_be_negative(network, layer)),
        unit=current_unit(chip, network, layer),
    )  # fmt: skip
    return with_static_errors(nominal, tiles, adc, seed=key[0], trial=key[1], layer=key[2])


def _known(layout: Layout, tiles, shape) -> np.ndarray | None:
    """(T, M): what zero weights add to the outputs per drive step of each row tile, on the arrays that exist."""
    if layout.zero is None:
        return None
    there = np.zeros(shape)
    for tile in tiles:
        there[tile.row_tile, tile.columns] = layout.zero[tile.columns] * layout.gain(tile.row_tile, tile.columns)
    return layout.outputs(there)


def _drivers(chip, network: Network, layer: L.Weighted, layout: Layout, *, key) -> Drivers | None:
    """Errors of the layer's row drivers; None where they are exact."""
    full = scheme_of(chip, network, layer).full_drive(largest_drive(chip, network, layer))
    return drivers_of(chip.dac, full, len(layout.levels), layout.rows_per_tile, key=key)


def _part(weights: Weights, layout: Layout, n_row_tiles: int, *, key, exact: bool, drivers: Drivers | None) -> Part:
    seed, *rest = key
    streams = tuple(_streams.stream_word(seed, domain, *rest) for domain in ("read", "slow", "dac"))
    quiet = drivers is None or drivers.noise == 0  # noise drives rows that are not built, too
    return part_of(
        weights, slice(0, len(weights.mean)), slice(0, n_row_tiles), layout.rows_per_tile, streams, exact=exact,
        idle=layout.order < 0 if quiet and layout.order is not None else None,
    )  # fmt: skip
