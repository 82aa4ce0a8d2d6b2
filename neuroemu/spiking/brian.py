"""Loihi cores as Brian2 objects: `LoihiCore` lives in an ordinary Brian2 network, beside the user's own groups.

In: registers of a core, weight mantissas of its connections. Out: Brian2 groups whose spikes and states are those of
the compiled kernel, the one that whole test sets use (Davies et al. 2018, doi:10.1109/MM.2018.112130359; Brian2:
Stimberg et al. 2019, doi:10.7554/eLife.47314). Brian2 is imported when a class is first asked for, not before.
"""

import functools
from types import SimpleNamespace

import numpy as np

from .. import kernels
from .._checks import choice, integer
from ..errors import ArgumentTypeError, InputError
from ..kernels.events_reference import COUNT_NAMES
from .arithmetic import LOIHI1, Convention, encode_weights, pack_weights, whole_array
from .brian_group import CoreGroup, check_source, need_runtime_device, public_class

RING = 63  # slots of input under way: delays 0 .. 62 (Davies 2018: a 6-bit field, up to 62 units)
STATE = ("u", "v", "q", "_counter", "_ring", "_head", "_slots", "_spikespace", "_counts")


class _Core(CoreGroup):
    """Loihi 1 core as a Brian2 group.

    In each time step, slot 'thresholds'::

        q = input that has arrived, wrapped                       u = wrap(decay(u, current_decay + 1) + q)
        v = clip(decay(v, voltage_decay) + u + bias), held while refractory
        spike where v > 64 * threshold_mantissa                   then v = 0
        decay(x, d) = sign(x) * ((|x| * (4096 - d)) >> 12)

    Spikes emitted at t arrive at t + 1 step, or later with a delay. It can be the source and the target of Brian2's
    `Synapses` (``on_pre='q_post += w'`` with whole numbers, a Loihi weight of mantissa m being 64 * m), be recorded by
    `SpikeMonitor` and `StateMonitor` (variables u and v), be sliced, stored and restored.

    Parameters
    ----------
    n : int
        Number of neurons. One chip core has 1,024; no limit is enforced here.
    batch : int
        Copies of the n neurons with the same registers and the same weights, such as one an image of a batch; neuron k
        of copy b has index b * n + k. Weights are stored once, so a batch costs little more memory than its states.
    threshold_mantissa : int or array_like (n,)
        0 .. 131071; v spikes above 64 times this.
    current_decay, voltage_decay : int or array_like (n,)
        Registers in 1/4096 a step: current 0 .. 4095 (the chip adds 1), voltage 0 .. 4096.
    bias_mantissa : int or array_like (n,)
        -4096 .. 4095; the bias is mantissa * 2^exponent.
    bias_exponent : int or array_like (n,)
        0 .. 7.
    refractory : int or array_like (n,)
        Smallest distance of two spikes in steps, 1 .. 64; 1 is none.
    reset : {"zero", "subtract"}
        What a spike does to v. Loihi 1 has only zero; "subtract" takes two compartments a neuron there and its neuron
        updates are counted twice.
    convention : Convention
        Widths and rounding.
    dt : Quantity, optional
        Length of a step, by default 1 ms.
    clock : brian2.Clock, optional
        In place of dt.
    name : str
        Brian2 name.

    Raises
    ------
    InputError
        If a value is out of the range of its register; while running, if an input is not a whole number, or if a number
        outgrows a convention without limits.
    UnsupportedError
        If a Brian2 standalone device is set.

    Notes
    -----
    A spike train (T, N), such as one of `datasets.Events.to_steps`, enters as ``times, i = np.nonzero(train)`` and
    ``SpikeGeneratorGroup(N, i, times * ms, dt=1 * ms)``, the source of a connection.

    Not modelled: synaptic memory and fan-in limits of a core, noise, learning, multi-compartment neurons. The code
    generation target of Brian2 does not matter, standalone devices cannot be used. `counts` holds what happened so
    far; what Brian2's own synapses add to q counts as no synaptic operation, only the connections made by `connect`
    do.

    References
    ----------
    Davies et al. 2018, doi:10.1109/MM.2018.112130359. Weights: Michaelis et al. 2022, doi:10.3389/fninf.2022.1015624.
    """

    def __init__(
        self,
        n,
        *,
        batch=1,
        threshold_mantissa,
        current_decay,
        voltage_decay,
        bias_mantissa=0,
        bias_exponent=0,
        refractory=1,
        reset="zero",
        convention=LOIHI1,
        dt=None,
        clock=None,
        name="loihicore*",
    ):
        need_runtime_device("LoihiCore")
        n = integer(n, who="LoihiCore", name="n", low=1, high=2**31 - 1)
        self.batch = integer(batch, who="LoihiCore", name="batch", low=1, high=(2**31 - 1) // n)
        self._registers = _registers(
            n, convention, threshold_mantissa, current_decay, voltage_decay, bias_mantissa, bias_exponent, refractory
        )
        self._registers = {name: np.tile(value, self.batch) for name, value in self._registers.items()}
        self._registers["subtract_reset"] = choice(reset, ("zero", "subtract"), who="LoihiCore", name="reset") != "zero"
        self.convention = convention
        n *= self.batch
        self._begin(n, functools.partial(_add_variables, n=n), dt=dt, clock=clock, name=name)

    def connect(self, source, mantissa, *, exponent=0, bits=8, sign_mode="mixed", delay=0, name="loihiconnection*"):
        """Connect all neurons of `source` to all of this core; the connection runs with the core.

        With a batch, `source` has a copy of its neurons for each copy of this core, in the same order, or is one for
        all copies, whichever fits the rows of `mantissa`.

        Parameters
        ----------
        source : SpikeSource
            Any Brian2 group that spikes: `SpikeGeneratorGroup`, `PoissonGroup`, `NeuronGroup`, a subgroup, another
            LoihiCore or this one.
        mantissa : array_like of int (I, n)
            Weight mantissas, row: from, column: to; I is len(source) / batch, or len(source). For ranges see
            `encode_weights`. A zero is a synapse too.
        exponent, bits, sign_mode
            As in `encode_weights`.
        delay : int or array_like of int (I, n)
            Steps, 0 .. 62, on top of the one that a spike always takes.
        name : str
            Brian2 name.

        Returns
        -------
        LoihiConnection
            A BrianObject in slot 'synapses'; `w_act` and `delay` show what it does.

        Raises
        ------
        InputError
            If a shape does not fit or a value is out of range.
        """
        return __getattr__("LoihiConnection")(
            self, source, mantissa, exponent=exponent, bits=bits, sign_mode=sign_mode, delay=delay, name=name
        )

    @property
    def counts(self):
        """What happened so far: dict of int with the names of `kernels.events_reference.COUNT_NAMES`."""
        counts = dict(zip(COUNT_NAMES, self.variables["_counts"].get_value().tolist(), strict=True))
        if self._registers["subtract_reset"]:
            counts["active_updates"] *= 2
            counts["inactive_updates"] *= 2
        return counts

    def before_run(self, run_namespace=None):
        """Bind the kernel to the arrays of this group."""
        need_runtime_device("LoihiCore")
        arrays = {name: self.variables[name].get_value() for name in STATE}
        ring = self._turned_ring(arrays["_ring"].reshape(RING, self._N), arrays["_slots"], arrays["_head"])
        kernel = kernels.events.Core(
            ring=ring, extra=arrays["q"], u=arrays["u"], v=arrays["v"], counter=arrays["_counter"],
            spikespace=arrays["_spikespace"], counts=arrays["_counts"], **self._registers, **self.convention.limits,
        )  # fmt: skip
        self._bound = SimpleNamespace(step=kernel.step, ring=ring, head=arrays["_head"], counts=arrays["_counts"])
        super().before_run(run_namespace)

    def _turned_ring(self, ring, slots, head):
        """The slots that the delays need, (slots, N): the fewer turn, the more of them stay in the cache."""
        parts = [part._kernel.depth for part in self.contained_objects if hasattr(part, "_kernel")]
        needed = max([1, *parts])
        if needed > slots[0]:
            under_way = ring[(head[0] + np.arange(slots[0])) % slots[0]]
            ring[: slots[0]] = under_way
            slots[0], head[0] = needed, 0
        return ring[: slots[0]]

    def run(self):
        """One step."""
        bound = self._bound
        head = int(bound.head[0])
        dropped = bound.step(head)
        bound.head[0] = (head + 1) % len(bound.ring)
        if dropped:
            raise InputError(
                f"LoihiCore {self.name!r}: {dropped} neurons got a q that is no whole number within int32; let on_pre"
                " add whole numbers, such as 64 * mantissa"
            )

    def after_run(self):
        """Check that no number outgrew a convention without limits."""
        super().after_run()
        wraps = [int(value) for value in self.variables["_counts"].get_value()[-3:]]
        self.convention.check_overflow(*wraps, who=f"LoihiCore {self.name!r}")


class _Connection:
    """All-to-all synapses from a spike source to a LoihiCore; made by `LoihiCore.connect`."""

    def __init__(self, core, source, mantissa, *, exponent, bits, sign_mode, delay, name):
        from brian2.core.base import BrianObject

        who = f"LoihiCore {core.name!r}.connect"
        check_source(source, who)
        n = len(core) // core.batch
        w_act = encode_weights(mantissa, exponent=exponent, bits=bits, sign_mode=sign_mode, convention=core.convention)
        fits = [(len(source), n)] if len(source) % core.batch else [(len(source) // core.batch, n), (len(source), n)]
        if w_act.shape not in fits:
            needs = " or ".join(str(shape) for shape in dict.fromkeys(fits))
            raise InputError(f"{who}: mantissa has shape {w_act.shape}; needs (from, to) = {needs}")
        steps = whole_array(delay, who=who, name="delay", low=0, high=RING - 1)
        if steps.shape not in ((), w_act.shape):
            raise InputError(f"{who}: delay has shape {steps.shape}; give one number or {w_act.shape}")
        # On the source's clock, so that no spike is seen twice or never.
        BrianObject.__init__(self, clock=source.clock, when="synapses", order=0, name=name)
        self.add_dependency(source)
        self.core, self.source, self.w_act, self.delay = core, source, w_act, steps
        copies = {"copies": core.batch, "spread": core.batch > 1 and len(w_act) == len(source)}
        self._kernel = kernels.events.Connection(**_block_rows(w_act, steps), n=n, depth=RING, **copies)
        core.contained_objects.append(self)

    def before_run(self, run_namespace=None):
        """Look up where the source lists its spikes."""
        self._spikespace = self.source.variables["_spikespace"].get_value()
        self._first = getattr(self.source, "start", 0)
        super().before_run(run_namespace)

    def run(self):
        """Deliver the spikes of this step; the core's head already points to its next one."""
        if self._spikespace[-1]:
            core = self.core._bound
            self._kernel.deliver(self._spikespace, core.ring, int(core.head[0]), self._first, core.counts)

    def __repr__(self):
        return f"<LoihiConnection {self.name!r} from {self.source.name!r} to {self.core.name!r}>"


@functools.cache
def _classes():
    """The public classes, made once: the methods above on Brian2's bases."""
    parts = {"LoihiCore": _Core, "LoihiConnection": _Connection}
    return {name: public_class(name, methods, __name__) for name, methods in parts.items()}


def __getattr__(name):
    if name in ("LoihiCore", "LoihiConnection"):
        return _classes()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _add_variables(variables, n):
    """The state: u, v and q for users, the rest with an underscore; `store` saves all of them."""
    variables.add_array("u", size=n, dtype=np.int32)
    variables.add_array("v", size=n, dtype=np.int32)
    # Float, because Brian2's targets disagree about adding to int32; the kernel refuses what is no whole number.
    variables.add_array("q", size=n, dtype=np.float64)
    variables.add_array("_counter", size=n, dtype=np.int32)
    variables.add_array("_ring", size=RING * n, dtype=np.int32)
    variables.add_array("_counts", size=len(COUNT_NAMES), dtype=np.int64)
    variables.add_array("_slots", size=1, dtype=np.int32, scalar=True, values=1)
    variables.add_array("_head", size=1, dtype=np.int32, scalar=True)


def _registers(n, convention, threshold, current_decay, voltage_decay, bias, bias_exponent, refractory):
    """Checked registers as the kernel takes them: int32 (n,)."""
    if not isinstance(convention, Convention):
        raise ArgumentTypeError(f"LoihiCore: convention must be a Convention, got {convention!r}")

    def register(value, name, low, high):
        array = whole_array(value, who="LoihiCore", name=name, low=low, high=high)
        if array.shape not in ((), (1,), (n,)):
            raise InputError(f"LoihiCore: {name} has shape {array.shape}; give one number or {n}")
        return np.broadcast_to(array, n)

    offsets = convention.current_decay_offset, convention.voltage_decay_offset
    exponents = register(bias_exponent, "bias_exponent", 0, 7)
    values = {
        "du": register(current_decay, "current_decay", 0, 4096 - offsets[0]) + offsets[0],
        "dv": register(voltage_decay, "voltage_decay", 0, 4096 - offsets[1]) + offsets[1],
        "threshold": register(threshold, "threshold_mantissa", 0, 131071) * 64,
        "bias": register(bias, "bias_mantissa", -4096, 4095) << exponents,
        "refractory": register(refractory, "refractory", 1, 64),
    }
    return {name: np.ascontiguousarray(value, np.int32) for name, value in values.items()}


def _block_rows(w_act, delay):
    """All-to-all weights (I, n) as block rows: one edge an input, or one a synapse where delays differ."""
    weights, shift = pack_weights(w_act)
    n_in, n = weights.shape
    if (delay == delay.flat[0]).all():  # one delay for all is no array to look up
        ends = np.arange(n_in + 1, dtype=np.int32)
        rows = {"indptr": ends, "target": np.zeros(n_in, np.int32), "row": ends[:-1], "lag": int(delay.flat[0])}
        return {**rows, "weights": weights, "shift": shift}
    edges = n_in * n
    return {
        "indptr": np.arange(n_in + 1, dtype=np.int32) * n,
        "target": np.tile(np.arange(n, dtype=np.int32), n_in),
        "row": np.arange(edges, dtype=np.int32),
        "delay": delay.astype(np.uint8).ravel(),
        "weights": weights.reshape(edges, 1),
        "shift": shift,
    }
