"""run_spiking: a float network with neurons over time. Spike trains enter, spikes or potentials leave.

Two engines compute the same network: the compiled one (`compiled_steps`), which adds the weights of what spikes, and
NumPy's (`numpy_steps`), which multiplies matrices. Spikes cross a whole chain of layers within their step, unless the
method delays them.

What is promised. The compiled engine gives the same bits for any number of threads and any split of a batch, on every
instruction path, and those of its NumPy twin: a sum starts at 0 and takes its inputs in rising order. In float64 both
engines make their sums in float64 and round them to float32 before the neurons, which they compute alike. So spikes and
potentials are equal in all bits where the sums are exact, as they are of spikes with most trained weights, and
nearly always where they are not, since two float64 sums seldom lie on two sides of a float32's rounding limit. Sums of
recurrent weights are not rounded to float32: not exact, they may differ in the last bits of a float64.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from . import neurons as N
from .compiled_steps import input_type, refusal, run_compiled, stages
from .graph import Network
from .neuron_steps import EXACT, Method
from .numpy_steps import potential, run_part

MAX_STEPS = 1 << 20
ENGINES, PRECISIONS = ("auto", "compiled", "numpy"), ("float64", "float32")


@dataclass(frozen=True, eq=False, kw_only=True)
class SpikingRun:
    """What `record_spiking` found, and how it was computed."""

    outputs: np.ndarray  # (T, B, *output_shape)
    kept: MappingProxyType  # name -> (T, B, ...), the tensors that `keep` names
    engine: str  # "compiled" or "numpy"
    reason: str  # why this engine
    precision: str
    how: MappingProxyType  # layer -> how it was computed
    additions: MappingProxyType  # layer -> weights added, all inputs and steps; empty of the NumPy engine

    def __str__(self):
        lines = [f"engine {self.engine}, {self.precision}: {self.reason}"]
        for name, how in self.how.items():
            made = f", {self.additions[name]:,} additions" if name in self.additions else ""
            lines.append(f"  {name:<16} {how}{made}")
        return "\n".join(lines)


def run_spiking(
    network: Network,
    x: np.ndarray,
    *,
    dt: float = 1e-4,
    method: Method = EXACT,
    keep: Iterable[str] = (),
    batch: int = 16,
    engine: str = "auto",
    precision: str = "float64",
    threads: int | None = None,
) -> np.ndarray | tuple[np.ndarray, dict[str, np.ndarray]]:
    """Outputs of a network of `neurons` layers, step by step.

    Parameters
    ----------
    network : Network
        Float; layers of `neurons` and layers of a float network.
    x : ``(T, B, *input_shape)`` array
        Spikes (bool), or real numbers, of each step.
    dt : float
        Seconds a step. Networks trained without a unit of time, as those of Sinabs are, mean dt = 1.
    method : Method
        How the neurons' equations become steps: `neuron_steps.EXACT`, `EULER`, `SINABS`, `SPYX`, `LAVA`, or your own.
    keep : names of tensors to return as well
        "lif.v" names the potential of the layer "lif" at the end of each step, after its reset.
    batch : int
        Inputs computed at a time; it bounds the memory, not the result.
    engine : {"auto", "compiled", "numpy"}
        "auto" is the compiled engine, unless the network holds what it cannot run. Layers without weights or state,
        such as pools, are computed by NumPy in both.
    precision : {"float64", "float32"}
        Of sums, states and potentials. "float32" is faster, its spikes may differ; only the compiled engine has it.
    threads : int or None
        Blocks of inputs computed side by side by the compiled engine; None: all cores. No effect on any value.

    Returns
    -------
    outputs : ``(T, B, *output_shape)``
        bool if the last layer spikes; else of `precision` for neurons, float32 for other layers.
    kept : dict of name -> array, only if `keep` names any

    Raises
    ------
    InputError
        Wrong shape, NaN, unknown names, a quantized network, dt not above 0, or too large for the method.

    See Also
    --------
    record_spiking : the same, with the engine that ran and what it added up.
    """
    run = record_spiking(
        network, x, dt=dt, method=method, keep=keep, batch=batch, engine=engine, precision=precision, threads=threads
    )
    return (run.outputs, dict(run.kept)) if run.kept else run.outputs


def record_spiking(
    network: Network,
    x: np.ndarray,
    *,
    dt: float = 1e-4,
    method: Method = EXACT,
    keep: Iterable[str] = (),
    batch: int = 16,
    engine: str = "auto",
    precision: str = "float64",
    threads: int | None = None,
) -> SpikingRun:
    """As `run_spiking`, with a record of how it was computed."""
    who = "run_spiking"
    _checks.instance(network, Network, who=who, name="network")
    _checks.instance(method, Method, who=who, name="method")
    _checks.integer(batch, who=who, name="batch", low=1)
    _checks.choice(engine, ENGINES, who=who, name="engine")
    _checks.choice(precision, PRECISIONS, who=who, name="precision")
    threads = _checks.threads(threads, who=who)
    dt = _checks.real(dt, who=who, name="dt", low=0.0)
    if not dt:
        raise InputError("run_spiking: dt is 0 s; give the length of a step, such as 1e-4")
    if network.quantized:
        raise InputError(f"run_spiking: network '{network.name}' holds integer codes; run it on a spiking chip")
    x, keep = _train(network, x), _names(network, keep)
    wanted = dict.fromkeys((*keep, network.output))
    engine, reason = _engine(network, engine, precision)
    if engine == "compiled":
        wide = precision == "float64"
        prepared = stages(network, given=input_type(x), dt=dt, method=method, wide=wide, wanted=wanted)
        tensors, additions = run_compiled(network, x, prepared, wanted=wanted, threads=threads, batch=batch)
        how = {stage.layer.name: stage.how for stage in prepared}
    else:
        tensors, additions = _by_numpy(network, x, dt, method, wanted, batch), {}
        how = {layer.name: "NumPy" for layer in network.layers}
    return SpikingRun(
        outputs=tensors[network.output],
        kept=MappingProxyType({name: tensors[name] for name in keep}),
        engine=engine,
        reason=reason,
        precision=precision,
        how=MappingProxyType(how),
        additions=MappingProxyType(additions),
    )


def _engine(network: Network, wish: str, precision: str) -> tuple[str, str]:
    """The engine that runs, and why."""
    problem = refusal(network)
    if wish != "numpy" and problem is None:
        return "compiled", "asked for" if wish == "compiled" else "it knows all neurons of the network"
    if wish == "compiled":
        raise InputError(f"run_spiking: engine='compiled', but {problem}; use engine='auto' or 'numpy'")
    if precision != "float64":
        raise InputError(f"run_spiking: precision={precision!r}, and the NumPy engine has float64 only; leave it out")
    return "numpy", "asked for" if wish == "numpy" else problem


def _by_numpy(network, x, dt, method, wanted, batch):
    parts = []
    for first in range(0, x.shape[1], batch):
        part = x[:, first : first + batch]
        part = part.astype(input_type(x), copy=False)
        parts.append(run_part(network, part, dt=dt, method=method, wanted=wanted))
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in wanted}


def _train(network: Network, x) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype.kind not in "bu" or x.dtype.itemsize > 1:  # bytes are converted block by block
        x = _checks.finite_array(x, who="run_spiking", name="x")
    if x.ndim != 2 + len(network.input_shape) or x.shape[2:] != network.input_shape or 0 in x.shape:
        raise InputError(
            f"run_spiking: x has shape {x.shape}; network '{network.name}' takes (steps, batch, "
            f"{', '.join(map(str, network.input_shape))}), at least one of each"
        )
    if len(x) > MAX_STEPS:
        raise InputError(f"run_spiking: x has {len(x):,} steps; up to {MAX_STEPS:,} are run")
    return x


def _names(network: Network, keep) -> tuple[str, ...]:
    if isinstance(keep, str):
        raise ArgumentTypeError(f"run_spiking: keep is {keep!r}; give a tuple of names")
    keep = tuple(keep)
    known = {*network.shapes, *(potential(x) for x in network.layers if isinstance(x, N.Neuron))}
    if unknown := [name for name in keep if name not in known]:
        raise InputError(f"run_spiking: no tensors called {unknown}; the network has {', '.join(sorted(known))}")
    return keep
