"""Compiling: a spiking Network as a LoihiProgram, the same registers and synapses that whole runs on the chip use.

Enter a network from `to_spiking`; leave a program, and for inputs what the program takes. Its populations start one
step after another, as the presentation reaches them.
"""

import numpy as np

from .. import _checks
from ..errors import InputError
from ..network import layers as L
from ..network.graph import Network
from . import engine
from .arithmetic import LOIHI1
from .populations import BlockRows, Population, populations
from .program import Compartments, InputAxons, LoihiProgram, Synapses


def program_of(network: Network) -> LoihiProgram:
    """The program of a spiking network.

    Weights are mantissas of mixed sign with one exponent a layer; a convolution keeps one copy of its kernel. The
    read-out is the potential of the last population in the last step of its window (`start` + steps - 1).

    Parameters
    ----------
    network : Network
        Spiking, from `to_spiking`.
    """
    _checks.instance(network, Network, who="program_of", name="network")
    if not network.spiking:
        raise InputError(f"program_of: network '{network.name}' is not spiking; call to_spiking(network, ...) first")
    found = populations(network)
    outside = found[0].neuron.coding != "direct"
    inputs = (InputAxons(name=found[0].name, n=found[0].size),) if outside else ()
    first = () if outside else (_encoders(found[0]),)
    parts = []
    for population in found[1:]:
        for projection in population.projections:
            rows, shift = projection.weights, population.neuron.weight_shift
            doubled = BlockRows(rows.indptr, rows.target, rows.row, engine.MANTISSA * rows.table.astype(np.int32))
            parts.append(
                Synapses(
                    source=found[projection.source].name, target=population.name, mantissa=doubled, exponent=shift - 7,
                    delay=projection.delay,
                )
            )  # fmt: skip
    return LoihiProgram(
        compartments=(*first, *(_neurons(population) for population in found[1:])), synapses=tuple(parts),
        inputs=inputs, name=network.name,
    )  # fmt: skip


def program_inputs(network: Network, x: np.ndarray, *, seed: int = 0) -> dict:
    """Keyword arguments of `run_loihi` that present inputs to `program_of(network)`: steps, and inputs or biases.

    Parameters
    ----------
    network : Network
    x : ``(B, *input_shape)`` array
    seed : int
        Of Poisson spikes, those of `neuroemu.run`.
    """
    x = network.check_input(x, who="program_inputs")
    found = populations(network)
    first, depth = found[0], found[-1].level
    codes, steps = engine.input_codes(network, x), network.steps + depth
    if first.neuron.coding == "direct":
        return {"steps": steps, "biases": {first.name: codes * L.POTENTIAL_UNIT}}
    activity = engine._encode(first, codes, network.steps, LOIHI1, seed=seed, trial=0, first=0, threads=1)
    train = np.zeros((steps, len(x), first.size), np.uint8)
    train[1 : network.steps + 1] = activity.spikes.transpose(1, 0, 2)  # sent in step t, it arrives in step t + 1
    return {"steps": steps, "inputs": {first.name: train}}


def _encoders(population: Population) -> Compartments:
    encode: L.Encode = population.neuron
    return Compartments(
        name=population.name, n=population.size, threshold_mantissa=encode.threshold // L.POTENTIAL_UNIT,
        initial_voltage=encode.initial_voltage, reset=encode.reset, refractory=encode.refractory,
    )  # fmt: skip


def _neurons(population: Population) -> Compartments:
    lif: L.Lif = population.neuron
    threshold = L.THRESHOLD_MANTISSA if lif.threshold is None else lif.threshold // L.POTENTIAL_UNIT
    mantissa, exponent = split_bias(population.bias)
    return Compartments(
        name=population.name, n=population.size, threshold_mantissa=threshold, current_decay=lif.current_decay,
        voltage_decay=lif.voltage_decay, bias_mantissa=mantissa, bias_exponent=exponent, refractory=lif.refractory,
        reset=lif.reset, initial_voltage=lif.initial_voltage, start=population.level,
    )  # fmt: skip


def split_bias(bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mantissas and the smallest exponents with mantissa * 2^exponent = bias, both int32.

    Raises
    ------
    InputError
        A bias that no mantissa of 13 bits and exponent of 0 to 7 gives.
    """
    mantissa, exponent = np.array(bias, np.int64), np.zeros(len(bias), np.int64)
    for _ in range(L.BIAS_EXPONENT):
        large = np.abs(mantissa) > L.BIAS_MANTISSA
        even = large & (mantissa % 2 == 0)
        mantissa[even], exponent[even] = mantissa[even] // 2, exponent[even] + 1
    if (np.abs(mantissa) > L.BIAS_MANTISSA).any():
        bad = int(np.asarray(bias)[np.abs(mantissa) > L.BIAS_MANTISSA][0])
        raise InputError(f"bias {bad} is not a mantissa of up to {L.BIAS_MANTISSA} times 2^(0..7); round it")
    return mantissa.astype(np.int32), exponent.astype(np.int32)
