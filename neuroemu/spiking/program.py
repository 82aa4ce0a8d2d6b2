"""Programs: what a user writes by hand for a Loihi chip - compartments, synapses and inputs with raw register values.

Enter register values as a chip takes them; leave a checked LoihiProgram, which `run_loihi` runs and `program_of` makes
of a network. Numbers that are given once stand for all compartments of a population.

Reference: Davies et al. 2018, doi:10.1109/MM.2018.112130359 (registers and their widths, Table 1).
"""

from dataclasses import dataclass, field
from math import prod

import numpy as np

from .._checks import choice, instance, integer
from ..errors import ArgumentTypeError, InputError
from ..network import layers as L
from .arithmetic import WEIGHT_RANGES, whole_array
from .populations import MOST_DELAY, BlockRows

NOISE_TARGETS = ("current", "voltage")
JOINS = ("add", "pass", "block")
MOST_TAG = 255  # a tag is 9 bits and signed


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Pseudo-random numbers added to each compartment in each step.

    ``(r + 64 offset) * 2^(exponent - 7)``, toward zero, with r uniform on -127 .. 127.

    Parameters
    ----------
    exponent : int, 0 to 23
    offset : int, -1 to 1 and beyond: -127 to 127
        Shifts the mean, in halves of the amplitude.
    target : {"current", "voltage"}
        Added to the synaptic input q of the step, or to v beside u and bias.

    Notes
    -----
    The form is that of nengo-loihi 1.1.0 (emulator/interface.py, NoiseState). The generator of the chip is not public;
    here r comes from Philox, keyed by seed, trial, population, image and step.
    """

    exponent: int
    offset: int = 0
    target: str = "voltage"

    def __post_init__(self):
        integer(self.exponent, who="Noise", name="exponent", low=0, high=23)
        integer(self.offset, who="Noise", name="offset", low=-127, high=127)
        choice(self.target, NOISE_TARGETS, who="Noise", name="target")

    def of(self, draws: np.ndarray) -> np.ndarray:
        """Numbers added, int32, from draws of -127 .. 127."""
        return ((draws + 64 * self.offset) * 2.0 ** (self.exponent - 7)).astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class Dendrite:
    """A compartment that hands its state to a parent in the same step, before the parent is updated.

    Parameters
    ----------
    of : str
        Population of the parents; compartment i belongs to parent i.
    join : {"add", "pass", "block"}
        "add": the parent's v gains the dendrite's v of this step beside u and bias. "pass": the parent takes its u in
        steps in which the dendrite spikes, else none; "block": in steps in which it does not spike.

    Notes
    -----
    The chip joins compartments into trees (Davies 2018); in which order states are read is not published. This order -
    the dendrite first, whole, its v after a reset - is assumed. A dendrite may be a parent too.
    """

    of: str
    join: str = "add"

    def __post_init__(self):
        choice(self.join, JOINS, who="Dendrite", name="join")


@dataclass(frozen=True, eq=False, kw_only=True)
class Compartments:
    """A population of compartments.

    In each step t, with d = register + offset of the convention::

        q = spikes that arrive times their weights                   u = tz(u (4096 - du) / 4096) + q
        v = tz(v (4096 - dv) / 4096) + u + bias_mantissa 2^bias_exponent      v is held while refractory
        spike where v > 64 threshold_mantissa, then v = 0            tz: toward zero

    Parameters
    ----------
    name : str
    n : int, >= 1
    threshold_mantissa : int or (n,) array, 0 to 131071
    current_decay, voltage_decay : int or (n,) array, 0 to 4095 (voltage: 4096)
        Registers; the chip adds 1 to that of the current.
    bias_mantissa : int or (n,) array, -4096 to 4095
    bias_exponent : int or (n,) array, 0 to 7
    refractory : int or (n,) array, 1 to 64
        Least steps between two spikes.
    reset : {"zero", "subtract"}
        "subtract" is no register of Loihi 1; see `LoihiCore`.
    initial_voltage : int or (n,) array
    start : int, >= 0
        First step in which the population is updated; what would arrive before is lost.
    noise : Noise or None
    dendrite : Dendrite or None
        Hands its state on instead of being a neuron of its own; it may spike as well.
    """

    name: str
    n: int
    threshold_mantissa: int | np.ndarray
    current_decay: int | np.ndarray = 4095
    voltage_decay: int | np.ndarray = 0
    bias_mantissa: int | np.ndarray = 0
    bias_exponent: int | np.ndarray = 0
    refractory: int | np.ndarray = 1
    reset: str = "zero"
    initial_voltage: int | np.ndarray = 0
    start: int = 0
    noise: Noise | None = None
    dendrite: Dendrite | None = None

    def __post_init__(self):
        who = f"Compartments '{self.name}'"
        integer(self.n, who=who, name="n", low=1, high=2**24)
        for name, low, high in (
            ("threshold_mantissa", 0, L.THRESHOLD_MANTISSA),
            ("current_decay", 0, 4095),
            ("voltage_decay", 0, 4096),
            ("bias_mantissa", -4096, L.BIAS_MANTISSA),
            ("bias_exponent", 0, L.BIAS_EXPONENT),
            ("refractory", 1, 64),
            ("initial_voltage", -L.VOLTAGE_MAX, L.VOLTAGE_MAX),
        ):
            given = np.asarray(getattr(self, name))
            if given.shape not in ((), (self.n,)):
                raise InputError(f"{who}: {name} has shape {given.shape}; give one number or {self.n}")
            values = np.broadcast_to(whole_array(given, who=who, name=name, low=low, high=high), (self.n,))
            values = np.ascontiguousarray(values, np.int32)
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        choice(self.reset, L.RESETS, who=who, name="reset")
        integer(self.start, who=who, name="start", low=0)
        for name, kind in (("noise", Noise), ("dendrite", Dendrite)):
            if getattr(self, name) is not None:
                instance(getattr(self, name), kind, who=who, name=name)

    @property
    def bias(self) -> np.ndarray:
        """bias_mantissa * 2^bias_exponent, int32 (n,)."""
        return (self.bias_mantissa.astype(np.int64) << self.bias_exponent).astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class InputAxons:
    """Spikes from outside: `n` axons. A spike in row t of the input arrives in step t."""

    name: str
    n: int

    def __post_init__(self):
        integer(self.n, who=f"InputAxons '{self.name}'", name="n", low=1, high=2**24)


@dataclass(frozen=True, eq=False, kw_only=True)
class SharedKernel:
    """Convolution weights that all places share: mantissas (O, I/groups, kH, kW), as in `network.Conv2d`.

    `input_shape` is that of the source, (I, H, W). Neurons are numbered channel last, (y W + x) C + c, on both sides.
    """

    mantissa: np.ndarray
    input_shape: tuple[int, int, int]
    stride: tuple[int, int] = (1, 1)
    padding: L.Padding = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self):
        kernel = np.asarray(self.mantissa)
        if kernel.ndim != 4 or len(self.input_shape) != 3:
            raise InputError(f"SharedKernel: mantissa {kernel.shape} for input {self.input_shape}; give 4 axes and 3")
        if kernel.shape[1] * self.groups != self.input_shape[0] or kernel.shape[0] % self.groups:
            raise InputError(
                f"SharedKernel: mantissa {kernel.shape} with groups={self.groups} does not fit {self.input_shape[0]} "
                "input channels"
            )
        if min(self.output_shape) < 1:
            raise InputError(f"SharedKernel: kernel {kernel.shape} is larger than its input {self.input_shape}")

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(O, H', W')."""
        sizes = []
        for axis in (0, 1):
            reach = (np.asarray(self.mantissa).shape[2 + axis] - 1) * self.dilation[axis] + 1
            whole = self.input_shape[1 + axis] + sum(self.padding[axis])
            sizes.append((whole - reach) // self.stride[axis] + 1)
        return (np.asarray(self.mantissa).shape[0], *sizes)


@dataclass(frozen=True, eq=False, kw_only=True)
class Synapses:
    """Synapses from one population, or from input axons, to a population.

    Parameters
    ----------
    source, target : str
    mantissa : (n_source, n_target) array, scipy.sparse matrix, SharedKernel or BlockRows
        Weight mantissas; for their ranges see `encode_weights`. A weight of zero is no synapse.
    exponent : int, -8 to 7
    bits : int
        Weight precision.
    sign_mode : {"mixed", "excitatory", "inhibitory"}
    delay : int or (n_source, n_target) array, 0 to 62
        Steps on top of the one that a spike always takes; an array with dense weights only.
    tag : int or (n_source, n_target) array, -256 to 255
        Kept with the synapses; it takes memory, no rule reads it here.
    """

    source: str
    target: str
    mantissa: object
    exponent: int = 0
    bits: int = 8
    sign_mode: str = "mixed"
    delay: int | np.ndarray = 0
    tag: int | np.ndarray = 0

    def __post_init__(self):
        who = self.who
        integer(self.exponent, who=who, name="exponent", low=-8, high=7)
        choice(self.sign_mode, tuple(WEIGHT_RANGES), who=who, name="sign_mode")
        low, high = WEIGHT_RANGES[self.sign_mode]
        if isinstance(self.mantissa, SharedKernel):
            values = self.mantissa.mantissa
        elif isinstance(self.mantissa, BlockRows):
            values = self.mantissa.table
        elif hasattr(self.mantissa, "tocsr"):
            matrix = self.mantissa.tocsr().copy()
            matrix.sum_duplicates()
            object.__setattr__(self, "mantissa", matrix)
            values = matrix.data
        else:
            values = np.array(self.mantissa)
            if values.ndim != 2:
                raise InputError(f"{who}: mantissa has shape {values.shape}; give (sources, targets)")
            values.flags.writeable = False
            object.__setattr__(self, "mantissa", values)
        whole_array(values, who=who, name=f"mantissa in sign mode {self.sign_mode!r}", low=low, high=high)
        for name, least, most in (("delay", 0, MOST_DELAY), ("tag", -MOST_TAG - 1, MOST_TAG)):
            given = whole_array(getattr(self, name), who=who, name=name, low=least, high=most)
            if given.ndim and (not isinstance(self.mantissa, np.ndarray) or given.shape != self.mantissa.shape):
                raise InputError(f"{who}: {name} has shape {given.shape}; give one number, or one a dense weight")
            object.__setattr__(self, name, given)

    @property
    def who(self) -> str:
        return f"Synapses '{self.source}' -> '{self.target}'"

    @property
    def shape(self) -> tuple[int, int]:
        """(sources, targets); for BlockRows the fewest that they need."""
        if isinstance(self.mantissa, SharedKernel):
            return prod(self.mantissa.input_shape), prod(self.mantissa.output_shape)
        if isinstance(self.mantissa, BlockRows):
            rows = self.mantissa
            return len(rows.indptr) - 1, int(rows.target.max(initial=-rows.length)) + rows.length
        return self.mantissa.shape


@dataclass(frozen=True, eq=False, kw_only=True)
class LoihiProgram:
    """Compartments, synapses and inputs of a chip.

    Raises
    ------
    InputError, ArgumentTypeError
        Names twice or unknown, or sizes that do not fit.
    """

    compartments: tuple[Compartments, ...]
    synapses: tuple[Synapses, ...] = ()
    inputs: tuple[InputAxons, ...] = ()
    name: str = "program"
    _sizes: dict = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self):
        who = f"LoihiProgram '{self.name}'"
        for field_name, kind in (("compartments", Compartments), ("synapses", Synapses), ("inputs", InputAxons)):
            parts = tuple(getattr(self, field_name))
            object.__setattr__(self, field_name, parts)
            if not all(isinstance(part, kind) for part in parts):
                raise ArgumentTypeError(f"{who}: {field_name} must be {kind.__name__} objects")
        for part in (*self.inputs, *self.compartments):
            if part.name in self._sizes:
                raise InputError(f"{who}: two populations are called '{part.name}'; names must differ")
            self._sizes[part.name] = part.n
        for part in self.synapses:
            self._check_synapses(part, who)
        for part in self.compartments:
            if part.dendrite is not None:
                self._check_dendrite(part, who)

    def _check_synapses(self, part: Synapses, who: str):
        if part.source not in self._sizes or part.target not in self._sizes:
            known = ", ".join(self._sizes)
            raise InputError(f"{who}: {part.who}: no such population; there are {known}")
        if any(part.target == axons.name for axons in self.inputs):
            raise InputError(f"{who}: {part.who}: the target is an input; choose compartments")
        sizes = (self._sizes[part.source], self._sizes[part.target])
        fits = part.shape == sizes
        if isinstance(part.mantissa, BlockRows):  # the last neurons may have no synapse
            fits = part.shape[0] <= sizes[0] and part.shape[1] <= sizes[1]
        if not fits:
            raise InputError(f"{who}: {part.who}: weights are for {part.shape}, the populations have {sizes}")

    def _check_dendrite(self, part: Compartments, who: str):
        seen, parent = {part.name}, part
        while parent is not None and parent.dendrite is not None:
            above = next((other for other in self.compartments if other.name == parent.dendrite.of), None)
            if above is None or above.n != part.n or above.name in seen:
                raise InputError(
                    f"{who}: dendrite '{parent.name}' belongs to '{parent.dendrite.of}', which must be another "
                    f"population of {part.n} compartments outside its own tree"
                )
            seen.add(above.name)
            parent = above

    def size(self, name: str) -> int:
        """Compartments or axons of a population."""
        return self._sizes[name]
