"""Feeding: what the neurons of a spiking network get on a programmed chip. Enter chip and network; leave volts, errors.

How much a weight code charges a capacitor follows from the cells and the pulse; how large a read-out's capacitor must
be, from an exact run on the network's samples, which also gives the row vectors that converters are calibrated on.
"""

import numpy as np

from .. import _streams
from ..errors import InputError, PlacementError
from ..network import layers as L
from ..network.graph import Network
from . import mapping as M
from .building import current_unit
from .neurons import AnalogNeurons, DigitalNeurons, Fed
from .sampling import share_of, spread
from .spiking_graph import exact_sums, rows_of, run_spikes

SAMPLES = 64  # images of the network's samples that spikes are sampled from


def sampled_spikes(network: Network, *, who: str) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Row vectors of every layer in an exact run on samples, and the largest potential of each read-out."""
    if network.samples is None:
        raise InputError(
            f"{who}: network '{network.name}' carries no samples to calibrate converters and neurons on; call "
            "network.replace(samples=training_inputs)"
        )
    picks = np.linspace(0, len(network.samples) - 1, min(len(network.samples), SAMPLES)).astype(int)
    images, exact = network.samples[picks], DigitalNeurons(bits=48)
    seen: dict[str, list[np.ndarray]] = {layer.name: [] for layer in network.weighted}
    largest: dict[str, float] = {}

    def multiply(layer, spikes, first):
        rows = rows_of(layer, spikes)
        seen[layer.name].append(spread(rows.reshape(-1, rows.shape[-1]), share_of(len(spikes), len(images))))
        return exact_sums(layer, rows)

    def fire(lif, sums, first):
        if lif.threshold is None:
            potentials = np.cumsum(sums * 2.0**lif.weight_shift + lif.bias, axis=1)
            largest[lif.name] = max(largest.get(lif.name, 0.0), float(np.abs(potentials).max()))
        return exact.fire(lif, sums, first, Fed())[0]

    for first, image in enumerate(images):  # one at a time: all steps of a layer's patches take memory
        run_spikes(network, image[None], first, multiply=multiply, fire=fire, seed=0, trial=0, seen=lambda *_: None)
    return {name: np.concatenate(rows) for name, rows in seen.items()}, largest


def volts_of(chip, network: Network) -> dict[str, float]:
    """Volts of one unit of the potential of each Lif layer; empty where neurons are digital."""
    neurons = chip.neurons
    if not isinstance(neurons, AnalogNeurons):
        return {}
    lifs = [layer for layer in network.layers if isinstance(layer, L.Lif)]
    volts = {}
    if neurons.capacitance is not None:
        for lif in lifs:
            volts[lif.name] = volt_farads(chip, network, lif) / neurons.capacitance
            if lif.threshold is not None and lif.threshold * volts[lif.name] > neurons.rails[1]:
                raise PlacementError(
                    f"{chip.name}: the threshold of layer '{lif.name}' is {lif.threshold * volts[lif.name]:.3g} V on "
                    f"{neurons.capacitance:.3g} F, the rail {neurons.rails[1]:g} V; use a larger capacitance or None"
                )
        return volts
    largest = {} if all(lif.threshold is not None for lif in lifs) else sampled_spikes(network, who=chip.name)[1]
    for lif in lifs:
        level = lif.threshold if lif.threshold is not None else largest[lif.name]
        volts[lif.name] = neurons.threshold_volts / max(level, 1.0)
    return volts


def volt_farads(chip, network: Network, lif: L.Lif) -> float:
    """Volts times farads of one unit of the potential: the charge of one weight code over 2^shift."""
    units = {current_unit(chip, network, layer) for layer in _drivers_of(network, lif)}
    if max(units) > min(units) * (1 + 1e-9):
        raise PlacementError(
            f"{chip.name}: layers that add up in '{lif.name}' have weight codes of different currents; use weights of "
            "one width, or DigitalNeurons()"
        )
    return max(units) * chip.neurons.integrated_seconds(chip) / 2.0**lif.weight_shift


def _drivers_of(network: Network, lif: L.Lif) -> list[L.Weighted]:
    """Weighted layers whose sums a Lif layer gets."""
    names, found = list(lif.inputs), []
    while names:
        layer = network.layer(names.pop())
        names += [] if isinstance(layer, L.Weighted) else layer.inputs
        found += [layer] if isinstance(layer, L.Weighted) else []
    return found


def fed_of(network: Network, volts, step: float, *, seed, trial, made) -> dict[str, Fed]:
    """What each Lif layer is connected to on one programmed chip."""
    found = {}
    for index, lif in enumerate(layer for layer in network.layers if isinstance(layer, L.Lif)):
        shape = network.shapes[lif.name]
        places = (int(np.prod(shape[1:])), shape[0]) if len(shape) == 3 else (int(np.prod(shape[:-1])), shape[-1])
        generator = _streams.generator(made[0], "neuron", made[1], index, 0)
        offsets = tuple(generator.standard_normal((2, *places)))
        found[lif.name] = Fed(
            volts=volts.get(lif.name, 1.0), step_seconds=step, offsets=offsets, seed=seed,
            stream=_streams.stream_word(seed, "neuron", trial, index, 1),
        )  # fmt: skip
    return found


def row_conductances(chip, network: Network, engines) -> dict[str, np.ndarray]:
    """Siemens of each driven row of each layer, over all cells of its tiles, as the mapping asks for.

    Pulses of a tile that compensation stretches count as longer ones.
    """
    found = {}
    for layer in network.weighted:
        engine = engines[layer.name]
        top = chip.mapping.top(M.largest_code(layer))
        levels, back = engine.layout.levels, engine.tables.back
        cells = sum(t for t in chip.mapping.targets(levels, top, chip.device) if t is not None) * chip.mapping.copies
        stretch = back[np.arange(len(levels)) // engine.rows_per_tile]  # 0 where no array is
        found[layer.name] = (cells * stretch).sum(axis=1)
    return found
