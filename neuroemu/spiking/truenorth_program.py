"""Programs of TrueNorth cores: what neurons, cores and chips are loaded with, checked and stacked for the kernel.

In: for each core a crossbar, axon types, neuron registers and targets. Out: a `TrueNorthProgram` that `run_truenorth`
runs. The neuron is that of Cassidy et al. 2013 (doi:10.1109/IJCNN.2013.6707077), core and chip are those of Merolla et
al. 2014 (doi:10.1126/science.1254642).
"""

from dataclasses import dataclass, fields

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from ..kernels.truenorth_reference import MESH, SLOTS, V_MAX, V_MIN

AXONS = NEURONS = 256
TYPES = 4
CORES = MESH * MESH  # of one chip
OFF_CHIP = -1  # target core of a neuron whose spikes leave the board
MAX_CHIPS = 128  # the kernel's core numbers have 19 bits
REACH = (-256, 255)  # a packet carries its distance as 9 bits and a sign in each direction [Merolla 2014, supplement]
_RANGES = {  # dtype, lowest and highest value of the registers of a neuron
    "weights": (np.int16, -256, 255),
    "stochastic_synapse": (np.uint8, 0, 1),
    "leak": (np.int16, -256, 255),
    "stochastic_leak": (np.uint8, 0, 1),
    "leak_reversal": (np.uint8, 0, 1),
    "threshold": (np.int32, 0, 2**18 - 1),
    "negative_threshold": (np.int32, 0, 2**18 - 1),
    "reset": (np.int32, -(2**19 - 1), 2**19 - 1),
    "reset_mode": (np.uint8, 0, 2),
    "saturate": (np.uint8, 0, 1),
    "threshold_bits": (np.uint8, 0, 17),
}
_BY_TYPE = ("weights", "stochastic_synapse")


@dataclass(frozen=True, kw_only=True, eq=False)
class NeuronParameters:
    """Registers of the 256 neurons of a core. Each is one value for all neurons, or 256 of them.

    With F(s, rho) = 1 if abs(s) >= rho, rho a random byte of its own each time, and eta a random number of
    `threshold_bits` bits, in each tick::

        V += sum over events of  s,  or F(s, rho) sgn(s) where stochastic     s: weight of the axon's type
        V += W leak,  or W F(leak, rho) sgn(leak)                             W: 1, or sgn(V) with reversal
        V >= threshold + eta: spike; V becomes reset, or loses threshold + eta, or stays
        V < -negative_threshold, with `saturate`: V = -negative_threshold
        V < -(negative_threshold + eta), without: V becomes -reset, or gains that sum, or stays

    Parameters
    ----------
    weights : int (4,) or (4, 256)
        By axon type, -256..255.
    stochastic_synapse : bool, (4,) or (4, 256)
    leak : int or (256,)
        -256..255, added; a negative one pulls down (towards 0 with reversal).
    stochastic_leak, leak_reversal : bool or (256,)
    threshold, negative_threshold : int or (256,)
        0..262,143.
    reset : int or (256,)
        -524,287..524,287.
    reset_mode : int or (256,)
        0: to `reset`; 1: linear (the threshold is taken off); 2: no reset.
    saturate : bool or (256,)
        Whether V stops at -negative_threshold in place of being reset there. With reset_mode: six modes.
    threshold_bits : int or (256,)
        Random bits added to both thresholds, 0..17.

    Notes
    -----
    Published are 4 weights of 9 bits and a sign-carrying V of 20 bits; all else here is a choice:

    - Widths: leak 9 bits, thresholds 18 bits, up to 17 random threshold bits. They fit the published 124 bits a neuron.
    - V saturates at 20 bits, once after the sum of all synapses and once after the leak; each is counted. Whether the
      chip saturates or wraps is not published.
    - `reset` may be any value; a public emulator (NeMo) reads the register as a sign and a power of two less one.
    - The comparison with the random byte is >=, so that a size s > 0 acts with probability (s + 1) / 256.
    - sgn(0) = 0. A reversal leak that overshoots 0 comes back, as in the equation; NeMo sets V to 0 there.
    - The leak is added; one published table writes it as subtracted.
    """

    weights: np.ndarray
    stochastic_synapse: np.ndarray | bool = False
    leak: np.ndarray | int = 0
    stochastic_leak: np.ndarray | bool = False
    leak_reversal: np.ndarray | bool = False
    threshold: np.ndarray | int = 1
    negative_threshold: np.ndarray | int = 2**18 - 1
    reset: np.ndarray | int = 0
    reset_mode: np.ndarray | int = 0
    saturate: np.ndarray | bool = False
    threshold_bits: np.ndarray | int = 0

    def __post_init__(self):
        for field in fields(self):
            dtype, low, high = _RANGES[field.name]
            value, shape = getattr(self, field.name), (NEURONS,)
            if field.name in _BY_TYPE:
                value, shape = np.asarray(value), (TYPES, NEURONS)
                value = value[:, None] if value.ndim == 1 and value.shape == (TYPES,) else value
            given = integers(value, "NeuronParameters", field.name, shape, low, high, dtype)
            object.__setattr__(self, field.name, given)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrueNorthCoreProgram:
    """What one core is loaded with.

    Parameters
    ----------
    crossbar : bool (256, 256)
        Whether axon (row) reaches neuron (column). Kept, and also taken, as packed bits, uint8 (256, 32), bit j % 8 of
        byte j // 8 for neuron j; `connections()` gives bool.
    axon_types : int (256,) or int
        0..3: which of a neuron's four weights the axon's spikes add.
    neurons : NeuronParameters
    targets : int (256, 3) or (3,)
        Core, axon (0..255) and delay (1..15 ticks) of each neuron's one target; core -1: the spikes leave the board.
    potential : int (256,) or int
        V before the first tick, -524,288..524,287.
    seed : int or None
        Seed register of the core, 0..2^32 - 1; None: the number of the core.
    """

    crossbar: np.ndarray
    axon_types: np.ndarray | int = 0
    neurons: NeuronParameters
    targets: np.ndarray | tuple = (OFF_CHIP, 0, 1)
    potential: np.ndarray | int = 0
    seed: int | None = None

    def __post_init__(self):
        who = "TrueNorthCoreProgram"
        _checks.instance(self.neurons, NeuronParameters, who=who, name="neurons")
        packed = self.crossbar
        if getattr(packed, "shape", None) != (AXONS, NEURONS // 8) or packed.dtype != np.uint8:
            bits = integers(self.crossbar, who, "crossbar", (AXONS, NEURONS), 0, 1, np.uint8, broadcast=False)
            packed = np.packbits(bits, axis=1, bitorder="little")
        packed = integers(packed, who, "crossbar", (AXONS, NEURONS // 8), 0, 255, np.uint8, broadcast=False)
        targets = integers(self.targets, who, "targets", (NEURONS, 3), OFF_CHIP, 2**19 - 1, np.int32)
        integers(targets[:, 1], who, "target axons", (NEURONS,), 0, AXONS - 1, np.int32)
        integers(targets[:, 2], who, "delays", (NEURONS,), 1, SLOTS - 1, np.int32)
        types = integers(self.axon_types, who, "axon_types", (AXONS,), 0, TYPES - 1, np.uint8)
        v = integers(self.potential, who, "potential", (NEURONS,), V_MIN, V_MAX, np.int32)
        for name, value in (("crossbar", packed), ("axon_types", types), ("targets", targets), ("potential", v)):
            object.__setattr__(self, name, value)
        if self.seed is not None:
            _checks.integer(self.seed, who=who, name="seed", low=0, high=2**32 - 1)

    def connections(self) -> np.ndarray:
        """The crossbar as bool (256, 256)."""
        return np.unpackbits(self.crossbar, axis=1, bitorder="little").astype(bool)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrueNorthProgram:
    """Cores and where they lie.

    Parameters
    ----------
    cores : sequence of TrueNorthCoreProgram
        Up to 4,096 a chip.
    positions : int (C, 2), optional
        x (east) and y (north) of each core, all different; by default row by row, chip by chip.
    chips : (int, int)
        Chips of a board as (width, height), each 64 x 64 cores on one common mesh, up to 128. Only counts know of
        them: a chip crossing is one border between two chips that a packet passes.
    shift_register : bool
        Draw random numbers from a 32-bit shift register in each core, in a fixed order, in place of counters. The chip
        has a shift register whose polynomial and order are not published, so neither gives its bits. With it, cores
        that draw for leak or threshold are busy in every tick.
    """

    cores: tuple[TrueNorthCoreProgram, ...]
    positions: np.ndarray | None = None
    chips: tuple[int, int] = (1, 1)
    shift_register: bool = False

    def __post_init__(self):
        who = "TrueNorthProgram"
        cores = tuple(self.cores)
        if not cores or not all(isinstance(core, TrueNorthCoreProgram) for core in cores):
            raise ArgumentTypeError(f"{who}: cores must be one TrueNorthCoreProgram or more")
        if np.shape(self.chips) != (2,):
            raise InputError(f"{who}: chips is {self.chips!r}; give (width, height)")
        width, height = (_checks.integer(n, who=who, name="chips", low=1, high=MAX_CHIPS) for n in self.chips)
        if width * height > MAX_CHIPS:
            raise InputError(f"{who}: {width} x {height} chips; up to {MAX_CHIPS} are possible")
        if len(cores) > width * height * CORES:
            raise InputError(f"{who}: {len(cores):,} cores, {width * height * CORES:,} fit; enlarge chips")
        object.__setattr__(self, "cores", cores)
        object.__setattr__(self, "positions", self._checked_positions(width, height))
        object.__setattr__(self, "arrays", self._stacked())

    def _checked_positions(self, width, height):
        who, n = "TrueNorthProgram", len(self.cores)
        if self.positions is None:
            chip, core = np.divmod(np.arange(n), CORES)
            x, y = chip % width * MESH + core % MESH, chip // width * MESH + core // MESH
            found = np.stack([x, y], axis=1).astype(np.int16)
            found.setflags(write=False)
            return found
        top = MESH * MAX_CHIPS - 1
        found = integers(self.positions, who, "positions", (n, 2), 0, top, np.int16, broadcast=False)
        if (found >= (MESH * width, MESH * height)).any():
            raise InputError(f"{who}: a core lies outside the {MESH * width} x {MESH * height} mesh; enlarge chips")
        if len(np.unique(found, axis=0)) < n:
            raise InputError(f"{who}: two cores have the same position; give each its own")
        return found

    def _stacked(self):
        """Registers of all cores as the kernel takes them."""
        neurons = [core.neurons for core in self.cores]
        stacked = {name: np.stack([getattr(n, name) for n in neurons]) for name in _RANGES}
        stochastic = (stacked["stochastic_synapse"] << np.arange(TYPES, dtype=np.uint8)[:, None]).sum(1, dtype=np.uint8)
        return {
            "crossbar": np.stack([core.crossbar for core in self.cores]),
            "axon_type": np.stack([core.axon_types for core in self.cores]),
            "weight": stacked["weights"],
            "stochastic_synapse": stochastic,
            "leak_mode": stacked["stochastic_leak"] | stacked["leak_reversal"] << 1,
            "reset_mode": stacked["reset_mode"] | stacked["saturate"] << 2,
            **{name: stacked[name] for name in ("leak", "threshold", "negative_threshold", "reset", "threshold_bits")},
            "route": self._routes(),
            "position": self.positions,
            "core_seed": np.array([k if c.seed is None else c.seed for k, c in enumerate(self.cores)], np.uint32),
            "lfsr": self.shift_register,
        }

    def _routes(self):
        who, routes = "TrueNorthProgram", np.empty((len(self.cores), NEURONS), np.int32)
        for index, core in enumerate(self.cores):
            target, axon, delay = core.targets.T
            if target.max() >= len(self.cores):
                raise InputError(
                    f"{who}: core {index} targets core {target.max()}; there are {len(self.cores)}, numbered from 0"
                )
            way = self.positions[target].astype(int) - self.positions[index]
            far = (target >= 0) & ((way < REACH[0]) | (way > REACH[1])).any(axis=1)
            if far.any():
                raise InputError(
                    f"{who}: core {index} targets core {target[far][0]}, {way[far][0]} away; a packet reaches "
                    f"{REACH[0]}..{REACH[1]} in x and y: place them closer"
                )
            routes[index] = np.where(target >= 0, target << 12 | axon << 4 | delay, -1)
        return routes


def integers(value, who, name, shape, low, high, dtype, broadcast=True):
    """A read-only array of integers within [low, high], of `shape` or spread to it."""
    given = np.asarray(value)
    if given.dtype.kind not in "biu":
        raise ArgumentTypeError(f"{who}: {name} must be integers, got dtype {given.dtype}")
    spread = ((), shape[1:], (shape[0], 1)) if broadcast else ()
    if given.shape != shape and given.shape not in spread:
        raise InputError(f"{who}: {name} has shape {given.shape}; give {shape}")
    if given.size and not (low <= given.min() and given.max() <= high):
        raise InputError(f"{who}: {name} spans {given.min()}..{given.max()}; allowed: {low} to {high}")
    found = np.array(np.broadcast_to(given, shape), dtype, order="C")
    found.setflags(write=False)
    return found
