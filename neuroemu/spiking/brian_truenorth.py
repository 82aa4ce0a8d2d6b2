"""TrueNorth cores as Brian2 objects: `TrueNorthCore` lives in an ordinary Brian2 network, beside the user's groups.

In: a program of one core or several, spikes onto its axons. Out: a Brian2 group whose spikes and potentials are those
of the compiled kernel, random modes included (Cassidy et al. 2013, doi:10.1109/IJCNN.2013.6707077; Brian2: Stimberg et
al. 2019, doi:10.7554/eLife.47314). Brian2 is imported when a class is first asked for, not before.
"""

import functools

import numpy as np

from .. import _streams, kernels
from .._checks import instance, integer
from ..errors import InputError
from ..kernels.truenorth_reference import COUNT_NAMES, SLOTS, V_MAX, V_MIN
from .arithmetic import whole_array
from .brian_group import CoreGroup, check_source, need_runtime_device, public_class
from .truenorth import start_state, warnings_of
from .truenorth_program import AXONS, NEURONS, TrueNorthCoreProgram, TrueNorthProgram

MOST_SPIKES = 2**31 - 1  # onto an axon in a tick: a check against numbers that are no spikes, not a limit of the chip


class _Core(CoreGroup):
    """A TrueNorth program as a Brian2 group of 256 neurons a core.

    Neuron i is neuron i % 256 of core i // 256, and the axons are numbered in the same way. One Brian2 step is one
    tick, in slot 'thresholds': the axons that spikes have reached are active, then each neuron integrates, leaks,
    compares and resets as `NeuronParameters` says. Spikes to a target of the program arrive inside this object; those
    of neurons without one leave it. All of them are Brian2 spikes.

    Spikes from outside enter by `connect`, or by Brian2's own `Synapses` with ``on_pre="axon_post += 1"``, j being the
    number of the axon: a spike emitted in step t makes the axon active in step t + 1, or later with a delay. The group
    can be the source of `Synapses`, be recorded by `SpikeMonitor` and `StateMonitor` (variable v, and axon before the
    step), be sliced, stored and restored.

    Parameters
    ----------
    program : TrueNorthProgram or TrueNorthCoreProgram
    seed : int
        Of all random draws, as in `run_truenorth`, whose bits these are.
    dt : Quantity, optional
        Length of a tick, by default 1 ms.
    clock : brian2.Clock, optional
        In place of dt.
    name : str
        Brian2 name.

    Raises
    ------
    InputError
        While running, if v was set outside of 20 bits, or if what synapses add to an axon is no whole number of spikes.
    UnsupportedError
        If a Brian2 standalone device is set.

    Notes
    -----
    `counts` holds what happened so far. A spike of `connect` counts when it is sent, one of `Synapses` when it arrives.
    The code generation target of Brian2 does not matter, standalone devices cannot be used. Each step checks the
    program again, so for many cores and ticks `run_truenorth` is the tool.
    """

    def __init__(self, program, *, seed=0, dt=None, clock=None, name="truenorthcore*"):
        need_runtime_device("TrueNorthCore")
        if isinstance(program, TrueNorthCoreProgram):
            program = TrueNorthProgram(cores=[program])
        instance(program, TrueNorthProgram, who="TrueNorthCore", name="program")
        self.program = program
        self._seed = integer(seed, who="TrueNorthCore", name="seed", low=0)
        n = NEURONS * len(program.cores)
        self._begin(n, functools.partial(_add_variables, n=n), dt=dt, clock=clock, name=name)
        start = start_state(program, self._seed)
        for name, value in (("v", start.potential), ("_register", start.register)):
            self.variables[name].get_value()[:] = value.ravel()

    def connect(self, source, axons, *, delay=1, name="truenorthconnection*"):
        """Let each neuron of `source` spike onto one axon of this core; the connection runs with the core.

        Parameters
        ----------
        source : SpikeSource
            Any Brian2 group that spikes: `SpikeGeneratorGroup`, `PoissonGroup`, `NeuronGroup`, a subgroup, another
            TrueNorthCore or this one.
        axons : int (len(source),)
            256 * core + axon for each neuron of the source; -1: none.
        delay : int or (len(source),)
            1..15 ticks: a spike of step t makes its axon active in step t + delay.
        name : str
            Brian2 name.

        Returns
        -------
        TrueNorthConnection
            A BrianObject in slot 'synapses'.

        Raises
        ------
        InputError
            If a shape does not fit or a value is out of range.
        """
        return __getattr__("TrueNorthConnection")(self, source, axons, delay=delay, name=name)

    @property
    def counts(self):
        """What happened so far: dict of int with the names of `kernels.truenorth_reference.COUNT_NAMES`."""
        return dict(zip(COUNT_NAMES, self.variables["_counts"].get_value().tolist(), strict=True))

    @property
    def warnings(self):
        """One line for each kind of loss so far: merged spikes, clipped potentials."""
        return warnings_of(self.counts)

    def before_run(self, run_namespace=None):
        """Bind the kernel to the arrays of this group."""
        need_runtime_device("TrueNorthCore")
        n, names = len(self.program.cores), ("v", "axon", "_ring", "_register", "_tick", "_counts", "_spikespace")
        arrays = {name: self.variables[name].get_value() for name in names}
        rows, self._packed = np.arange(n, dtype=np.int32), np.empty((1, n, NEURONS // 8), np.uint8)
        self._step = functools.partial(
            kernels.truenorth.run_chip, ticks=1, **self.program.arrays,
            seed=_streams.stream_word(self._seed, "neuron"), potential=arrays["v"].reshape(n, NEURONS),
            ring=arrays["_ring"].reshape(SLOTS, n, AXONS // 8), register=arrays["_register"], recorded=rows,
            spikes_out=self._packed, probed=np.full(n, -1, np.int32), probe_out=np.empty((1, 0, NEURONS), np.int32),
            counts=arrays["_counts"].reshape(1, -1),
        )  # fmt: skip
        self._bound = arrays
        super().before_run(run_namespace)

    def run(self):
        """One tick."""
        bound = self._bound
        low, high = bound["v"].min(), bound["v"].max()  # users may write it
        if low < V_MIN or high > V_MAX:
            raise InputError(f"TrueNorthCore {self.name!r}: v spans {low}..{high}; allowed: {V_MIN} to {V_MAX}")
        self._step(self._arrived(bound["axon"], bound["_counts"]), first_tick=int(bound["_tick"][0]))
        bound["_tick"][0] += 1
        fired = np.flatnonzero(np.unpackbits(self._packed, bitorder="little"))
        bound["_spikespace"][: len(fired)] = fired
        bound["_spikespace"][-1] = len(fired)

    def _arrived(self, axon, counts):
        """Spikes that synapses brought, as inputs (S, 3) of the kernel; more than one on an axon merge."""
        active = np.flatnonzero(axon)
        number = axon[active]
        if not ((number == np.floor(number)) & (number > 0) & (number <= MOST_SPIKES)).all():
            raise InputError(
                f"TrueNorthCore {self.name!r}: an axon got {number.min():g} to {number.max():g} spikes in a tick; let "
                "on_pre add 1 to axon for each spike"
            )
        axon[active] = 0
        merged = int(number.sum()) - len(active)
        counts[COUNT_NAMES.index("merges")] += merged
        counts[COUNT_NAMES.index("input_spikes")] += merged
        core, place = np.divmod(active, AXONS)
        return np.stack([np.zeros_like(core), core, place], axis=1).astype(np.int32)


class _Connection:
    """One axon and delay for each neuron of a spike source; made by `TrueNorthCore.connect`."""

    def __init__(self, core, source, axons, *, delay, name):
        from brian2.core.base import BrianObject

        who = f"TrueNorthCore {core.name!r}.connect"
        check_source(source, who)
        shape = (len(source),)
        given = {
            "axons": whole_array(axons, who=who, name="axons", low=-1, high=len(core) - 1),
            "delay": whole_array(delay, who=who, name="delay", low=1, high=SLOTS - 1),
        }
        for label, value in given.items():
            if value.shape not in ((), shape):
                raise InputError(f"{who}: {label} has shape {value.shape}; give one number or {shape}")
        # On the source's clock, so that no spike is seen twice or never.
        BrianObject.__init__(self, clock=source.clock, when="synapses", order=0, name=name)
        self.add_dependency(source)
        self.core, self.source = core, source
        self.axons, self.delay = (np.array(np.broadcast_to(value, shape), np.int64) for value in given.values())
        core.contained_objects.append(self)

    def before_run(self, run_namespace=None):
        """Look up where the source lists its spikes."""
        self._spikespace = self.source.variables["_spikespace"].get_value()
        self._first = getattr(self.source, "start", 0)
        super().before_run(run_namespace)

    def run(self):
        """Set the bits of the spikes of this step in the core's delay ring; bits that are set already are merges."""
        sent = self._spikespace[: self._spikespace[-1]] - self._first
        sent = sent[(sent >= 0) & (sent < len(self.axons))]
        sent = sent[self.axons[sent] >= 0]
        if len(sent):
            bound = self.core._bound
            ring, counts = bound["_ring"], bound["_counts"]
            # The core is one tick ahead: this step's tick is done.
            slot = (int(bound["_tick"][0]) - 1 + self.delay[sent]) % SLOTS
            found = np.unique(slot * len(self.core) + self.axons[sent])  # bits of the ring
            old = int((ring[found // 8] >> (found % 8) & 1).sum())
            np.bitwise_or.at(ring, found // 8, (1 << found % 8).astype(np.uint8))
            counts[COUNT_NAMES.index("input_spikes")] += len(sent)
            counts[COUNT_NAMES.index("merges")] += len(sent) - len(found) + old

    def __repr__(self):
        return f"<TrueNorthConnection {self.name!r} from {self.source.name!r} to {self.core.name!r}>"


@functools.cache
def _classes():
    """The public classes, made once: the methods above on Brian2's bases."""
    parts = {"TrueNorthCore": _Core, "TrueNorthConnection": _Connection}
    return {name: public_class(name, methods, __name__) for name, methods in parts.items()}


def __getattr__(name):
    if name in ("TrueNorthCore", "TrueNorthConnection"):
        return _classes()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _add_variables(variables, n):
    """The state: v and axon for users, the rest with an underscore; `store` saves all of them."""
    variables.add_array("v", size=n, dtype=np.int32)
    # Float, because Brian2's targets disagree about adding to integers.
    variables.add_array("axon", size=n, dtype=np.float64)
    variables.add_array("_ring", size=SLOTS * n // 8, dtype=np.uint8)
    variables.add_array("_register", size=n // NEURONS, dtype=np.uint32)
    variables.add_array("_counts", size=len(COUNT_NAMES), dtype=np.int64)
    variables.add_array("_tick", size=1, dtype=np.int64, scalar=True)
