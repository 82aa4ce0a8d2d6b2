"""Counting: what the arrays of a run did becomes counts of events, shares of clipped conversions and warnings."""

import numpy as np

from .._counts import si
from ..energy import Counts
from ..network import layers as L
from .converters import Adc
from .heat import EVENT as HEAT
from .writes import EVENT as CELL_WRITE


def counts_of(chip, network, engines, sites, images: int) -> Counts:
    """Events of all images of one programmed chip, by layer and kind.

    Each plane of an input is a read and, with an `Adc`, a conversion of each physical column. "digital_accumulate" is
    an addition of two digitised numbers: over row tiles, slices, reference columns and planes. Where the digital side
    subtracts what zero weights give, it adds up the drive steps of the rows once for each input vector, and subtracts
    once for each output.
    """
    pairs = []
    for name, engine in engines.items():
        tiles = [site for site in sites if site.layer == name]
        vectors, reads = engine.tally.vectors, engine.tally.vectors * engine.planes
        columns = columns_of(tiles)
        pairs += [(name, chip.read_event, reads * len(tiles)), (name, "dac_drive", engine.tally.drives)]
        if isinstance(chip.adc, Adc):
            pairs += [(name, "adc_conversion", reads * columns), (name, "adc_clip", engine.tally.adc_clips)]
        if engine.heat is not None:
            pairs.append((name, HEAT, engine.heat.attojoules))
        additions = additions_of(engine, tiles, vectors)
        if additions:
            pairs.append((name, "digital_accumulate", additions))
    for layer in network.layers:
        if not isinstance(layer, L.Flatten | L.Reshape | L.Transpose):
            pairs.append((layer.name, "activation_op", int(np.prod(network.shapes[layer.name])) * images))
    return Counts.from_pairs(pairs)


def writes_in(engines, sites) -> Counts:
    """Writes of one programming of the chip, by layer; all copies of a layer are written."""
    copies = {site.layer: site.details.get("copies", 1) for site in sites}
    return Counts.from_pairs(
        (name, CELL_WRITE, engine.writes * copies.get(name, 1)) for name, engine in engines.items()
    )


def conversions_of_read(chip, sites) -> int:
    """Conversions that follow a read of `sites` one after the other; 0 where they are held in its time."""
    if not isinstance(chip.adc, Adc) or not chip.adc.seconds_of_conversion:
        return 0
    widest = max((site.columns[1] - site.columns[0] for site in sites), default=0)
    return min(chip.adc.columns_per_converter, widest)


def seconds_of_read(chip, sites) -> float:
    """Time of one read of a layer on `sites`: the arrays together, then the columns that share a converter in turn."""
    turns = conversions_of_read(chip, sites)
    return chip.read_seconds + turns * chip.adc.seconds_of_conversion if turns else chip.read_seconds


def notes_of(chip) -> tuple[str, ...]:
    """A line on how long converters take, where a read waits for them, and on heat that is not counted."""
    if chip.costs.of(HEAT) and chip.device.iv is not None:
        return (f"'{HEAT}' is not counted: the cells are not ohmic", *_waits(chip))
    return _waits(chip)


def _waits(chip) -> tuple[str, ...]:
    if not isinstance(chip.adc, Adc) or not chip.adc.seconds_of_conversion:
        return ()
    one = si(chip.adc.seconds_of_conversion, "s")
    line = f"up to {chip.adc.columns_per_converter} conversions of {one} follow a read"
    return (line if chip.adc.clock is None else f"{line}: {chip.adc.kind.cycles(chip.adc.bits)} clock cycles each",)


def clipped_shares(engines, sites) -> dict[str, float]:
    """Share of the ADC conversions outside their range, by layer."""
    shares = {}
    for name, engine in engines.items():
        columns = columns_of(site for site in sites if site.layer == name)
        shares[name] = engine.tally.adc_clips / max(1, engine.tally.vectors * engine.planes * columns)
    return shares


def warnings_of(clips) -> tuple[str, ...]:
    """A line for each layer that clips more than 1 % of its conversions."""
    found = []
    for name in clips[0]:
        share = float(np.mean([c[name] for c in clips]))
        if share > 0.01:
            found.append(
                f"layer '{name}': {share:.1%} of the ADC conversions clipped; widen Adc.range, as MinMaxRange() does"
            )
    return tuple(found)


def lost_in_wires(engines) -> tuple[str, ...]:
    """A line for each layer that loses more than a tenth of its column currents in wires."""
    return tuple(
        f"layer '{name}': wires take {engine.wire_loss:.0%} of the column currents; use smaller tiles or ColumnGain()"
        for name, engine in engines.items()
        if engine.wire_loss > 0.1
    )


def _built_rows(layout) -> int:
    return layout.real_rows(slice(0, len(layout.levels)))


def columns_of(sites) -> int:
    """Physical columns of these sites."""
    return sum(site.columns[1] - site.columns[0] for site in sites)


def additions_of(engine, sites, vectors: int) -> int:
    """Additions of two digitised numbers that `vectors` row vectors take on a layer's `sites`."""
    in_read, between_planes = _additions(engine, sites)
    additions = vectors * engine.planes * in_read + vectors * (engine.planes - 1) * between_planes
    if engine.known is not None and sites:
        additions += vectors * (_built_rows(engine.layout) - 1 + np.count_nonzero(engine.known.any(axis=0)))
    return additions


def _additions(engine, sites) -> tuple[int, int]:
    """Additions of one read (all arrays into outputs), and of each further plane."""
    live = np.zeros(engine.layout.levels.shape[1], bool)
    for site in sites:
        live[slice(*site.columns)] = True
    terms = np.count_nonzero(live[engine.layout.terms], axis=0)  # physical columns of each output
    outputs = int(np.count_nonzero(terms))
    return columns_of(sites) - int(live.sum()) + int(terms.sum()) - outputs, outputs
