"""Checks of what enters a run of a Loihi program: spikes, biases, probes, and how much memory they take."""

from collections.abc import Mapping

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from ..network import layers as L
from .arithmetic import whole_array
from .program import LoihiProgram
from .program_steps import PROBES

MOST_BYTES = 1 << 33  # of spikes and probes of one run


def checked_biases(program: LoihiProgram, biases) -> dict[str, np.ndarray]:
    """Biases as int32 (B, N)."""
    found = {}
    for name, given in biases.items():
        part = next((p for p in program.compartments if p.name == name), None)
        if part is None:
            raise InputError(f"run_loihi: biases for '{name}', which is no population of compartments")
        most = L.BIAS_MANTISSA << L.BIAS_EXPONENT
        values = whole_array(given, who="run_loihi", name=f"biases of '{name}'", low=-most - 128, high=most)
        if values.ndim != 2 or values.shape[1] != part.n:
            raise InputError(f"run_loihi: biases of '{name}' have shape {values.shape}; give (B, {part.n})")
        found[name] = np.ascontiguousarray(values, np.int32)
    if len({len(values) for values in found.values()}) > 1:
        raise InputError("run_loihi: biases are of different numbers of images")
    return found


def input_spikes(program: LoihiProgram, inputs, steps: int, images: int | None) -> dict[str, np.ndarray]:
    """Inputs as uint8 (B, T, N)."""
    known = {axons.name: axons.n for axons in program.inputs}
    found = {}
    if not isinstance(inputs, Mapping):
        raise ArgumentTypeError(f"run_loihi: inputs is {type(inputs).__name__}; give a mapping from name to spikes")
    for name, given in inputs.items():
        if name not in known:
            raise InputError(f"run_loihi: no input axons '{name}'; there are {', '.join(known) or 'none'}")
        train = np.asarray(given)
        train = train[:, None] if train.ndim == 2 else train
        if train.ndim != 3 or train.shape[0] != steps or train.shape[2] != known[name]:
            raise InputError(
                f"run_loihi: input '{name}' has shape {np.shape(given)}; give (T, B, N) or (T, N) with T = {steps}, "
                f"N = {known[name]}"
            )
        if not np.isin(train, (0, 1)).all():
            raise InputError(f"run_loihi: input '{name}' holds other numbers than 0 and 1")
        if images not in (None, train.shape[1]):
            raise InputError(f"run_loihi: input '{name}' has {train.shape[1]} images, another {images}")
        images = train.shape[1]
        found[name] = np.ascontiguousarray(train.transpose(1, 0, 2), np.uint8)
    for name, n in known.items():
        found.setdefault(name, np.zeros((images or 1, steps, n), np.uint8))
    return found


def probes_of(program: LoihiProgram, probe) -> dict[str, tuple[str, ...]]:
    """The states probed of each population."""
    names = [part.name for part in program.compartments]
    wanted = dict(probe) if isinstance(probe, Mapping) else {name: PROBES for name in _listed(probe)}
    for name, states in wanted.items():
        if name not in names:
            raise InputError(f"run_loihi: no population '{name}' to probe; there are {', '.join(names)}")
        for state in _listed(states):
            _checks.choice(state, PROBES, who="run_loihi", name=f"probe of '{name}'")
    return {name: tuple(_listed(wanted.get(name, ()))) for name in names}


def _listed(names) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def check_size(program, probes, steps: int, images: int):
    sizes = [program.size(axons.name) for axons in program.inputs]
    sizes += [part.n * (1 + 4 * len(probes[part.name])) for part in program.compartments]
    needed = sum(sizes) * steps * images
    if needed > MOST_BYTES:
        raise InputError(
            f"run_loihi: spikes and probes of {steps} steps and {images} images take {needed / 1e9:.0f} GB, the limit "
            f"is {MOST_BYTES / 1e9:.0f}; run fewer images, or probe less"
        )
