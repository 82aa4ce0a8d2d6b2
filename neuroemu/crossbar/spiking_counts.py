"""Spiking counts: what spikes did on the arrays becomes events, times and warnings.

"word_line_pulse" is a spike on the word line of one array; "array_nanosiemens" the conductance of all cells that the
pulses drove, in nanosiemens, which a price of V^2 t times 1e-9 makes joules (analog neurons). "column_integration" is
one column (pair) that charges a capacitor in one read, "comparator_decision" one neuron in one step, "capacitor_reset"
one reset at a spike or before an image. "neuron_update" is one digital neuron in one step, input neurons included.
"""

import numpy as np

from ..energy import Counts
from ..network import layers as L
from ..network.graph import Network
from .converters import Adc
from .counting import additions_of, columns_of
from .heat import EVENT as HEAT
from .neurons import AnalogNeurons

SATURATED = 0.01  # share of the updates at a rail from which a layer is warned of


def counts_of(chip, network: Network, engines, sites, spikes, siemens, images: int) -> Counts:
    """Events of all images of one programmed chip, by layer and kind; those of neurons under the name of the Lif.

    `spikes` of each Encode and Lif, and `siemens` that the pulses of each weighted layer drove (analog neurons).
    """
    pairs, analog = [], isinstance(chip.neurons, AnalogNeurons)
    for name, engine in engines.items():
        tiles = [site for site in sites if site.layer == name]
        reads = engine.tally.vectors * engine.planes
        pairs += [(name, chip.read_event, reads * len(tiles)), (name, "word_line_pulse", engine.tally.drives)]
        if analog:
            pairs.append((name, "array_nanosiemens", round(1e9 * siemens[name])))
            pairs.append((name, "column_integration", reads * columns_of(tiles)))
            continue
        if isinstance(chip.adc, Adc):
            pairs += [(name, "adc_conversion", reads * columns_of(tiles)), (name, "adc_clip", engine.tally.adc_clips)]
        if engine.heat is not None:
            pairs.append((name, HEAT, engine.heat.attojoules))
        additions = additions_of(engine, tiles, engine.tally.vectors)
        if additions:
            pairs.append((name, "digital_accumulate", additions))
    for layer in network.layers:
        if isinstance(layer, L.Lif | L.Encode):
            pairs += _of_neurons(chip, network, layer, spikes, images)
    return Counts.from_pairs(pairs)


def _of_neurons(chip, network: Network, layer, spikes, images: int):
    """Events of one layer of neurons."""
    neurons = int(np.prod(network.shapes[layer.name]))
    if isinstance(layer, L.Encode) and layer.coding == "spikes":
        return []
    if isinstance(layer, L.Encode) or not isinstance(chip.neurons, AnalogNeurons):
        return [(layer.name, "neuron_update", neurons * network.steps * images)]
    fresh = neurons * images
    if layer.threshold is None:
        converted = [(layer.name, "adc_conversion", fresh)] if chip.neurons.readout_bits is not None else []
        return [*converted, (layer.name, "capacitor_reset", fresh)]
    return [
        (layer.name, "comparator_decision", fresh * network.steps),
        (layer.name, "capacitor_reset", fresh + spikes[layer.name]),
    ]


def shares_at_limits(network: Network, activities, images: int) -> dict[str, tuple[float, float]]:
    """Shares of the updates in which a potential met its lower and its upper limit, by Lif layer, over trials."""
    found = {}
    for layer in network.layers:
        if isinstance(layer, L.Lif):
            updates = int(np.prod(network.shapes[layer.name])) * network.steps * images
            found[layer.name] = tuple(
                float(v) / updates for v in np.mean([a.saturated[layer.name] for a in activities], axis=0)
            )
    return found


def spiking_warnings(network: Network, activities, images: int) -> tuple[str, ...]:
    """A line for each layer that never spikes, or loses potential at its upper limit in more than 1 % of the updates.

    The lower limit holds neurons that stay silent; it counts for the read-out only.
    """
    found = []
    for name, (low, high) in shares_at_limits(network, activities, images).items():
        spikes = network.layer(name).threshold is not None
        share = high if spikes else low + high
        if share > SATURATED:
            found.append(
                f"layer '{name}': {share:.1%} of the potentials met a limit; widen AnalogNeurons.rails, lower "
                "threshold_volts, or give DigitalNeurons more bits"
            )
        if spikes and not any(a.spikes[name] for a in activities):
            found.append(f"layer '{name}': no neuron spiked; its threshold may be too high for what arrives")
    return tuple(found)


def spiking_rosy(chip) -> tuple[str, ...]:
    """A line for each setting of the neurons that makes a run look better than hardware would."""
    neurons = chip.neurons
    if not isinstance(neurons, AnalogNeurons):
        return ()
    found = []
    if not neurons.offset:
        found.append("comparators have no offset; set AnalogNeurons.offset, volts")
    if not neurons.noise:
        found.append("comparators have no noise; set AnalogNeurons.noise, volts")
    if neurons.leak_seconds is None:
        found.append("capacitors do not leak; set AnalogNeurons.leak_seconds")
    return tuple(found)
