"""The compiled engine of run_spiking: event-driven sums and neurons by one kernel, in blocks of images and steps.

In: a network and inputs (T, B, ...). Out: the tensors that were asked for, and the additions made. Each block of images
goes through all its steps, some at a time; between them only the neurons' states are kept, so that nothing grows with
the number of inputs but the outputs. Blocks run side by side on threads. No bit depends on how images and steps are
cut.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from .. import kernels
from . import layers as L
from . import neurons as N
from .floating import mapper
from .graph import INPUT, Network
from .neuron_steps import Method, coefficients
from .numpy_steps import MOVERS, potential, stateless
from .synapses import Synapses, panels, sums, synapses

BLOCK_BYTES = 1 << 22  # of the float32 sums of the widest layer that are held at a time; measured, see bench_nir.py


@dataclass(frozen=True, eq=False)
class Stage:
    """How one layer is computed. `synapses` of a weighted layer, `neurons` of a layer of neurons, else NumPy."""

    layer: L.Layer
    size: int  # of its tensor, without time and batch
    real: type  # of sums and states
    dtype: type  # of its tensor
    synapses: Synapses | None = None
    in_order: bool = True  # whether its sums are put into the order of the tensor
    neurons: dict | None = None  # arguments of the kernel
    start: np.ndarray | None = None  # potentials before the first step
    late: int = 0  # steps that what it reads is late

    @property
    def how(self) -> str:
        """In words."""
        if self.synapses is not None:
            return f"compiled, {self.synapses.form}"
        return "NumPy" if self.neurons is None else "compiled"


def refusal(network: Network) -> str | None:
    """Why this engine cannot run a network; None if it can."""
    for layer in network.layers:
        if isinstance(layer, N.Neuron) and type(layer) not in N.KINDS.values():
            return f"{type(layer).__name__} '{layer.name}' is not a kind of neuron that the kernel knows"
    return None


def stages(network: Network, *, given: type, dt: float, method: Method, wide: bool, wanted) -> tuple[Stage, ...]:
    """All layers, prepared for the kernel; `given` is the type of the inputs."""
    found, real = {}, np.float64 if wide else np.float32
    for layer in network.layers:
        before = found.get(layer.inputs[0])
        common = {"layer": layer, "size": prod(network.shapes[layer.name]), "real": real, "dtype": np.float32}
        if isinstance(layer, L.Weighted):
            made = synapses(layer, network.shapes[layer.inputs[0]], network.shapes[layer.name])
            readers = network.readers(layer.name)
            alone = len(readers) == 1 and isinstance(readers[0], N.Neuron) and layer.name not in wanted
            found[layer.name] = Stage(**common, synapses=made, in_order=not alone)
        elif isinstance(layer, N.Neuron):
            common["dtype"] = bool if layer.SPIKES else real
            found[layer.name] = Stage(**common, **_neurons(layer, real, before, dt, method), late=method.input_delay)
        elif isinstance(layer, MOVERS):
            found[layer.name] = Stage(**common | {"dtype": given if before is None else before.dtype})
        else:
            found[layer.name] = Stage(**common)
    return tuple(found.values())


def _neurons(layer: N.Neuron, real, before: Stage | None, dt, method: Method) -> dict:
    """Arguments of the kernel and first potentials, in the order in which the sums before it stand."""
    steps = coefficients(layer, dt, method)
    table, start = steps.table(), steps.start.ravel()
    arguments = {"rule": steps.rule_index, "early": method.early_test, "subtract": method.reset == "subtract"}
    if before is not None and not before.in_order and before.synapses.places is not None:
        arguments["place"] = before.synapses.places
        table, start = table[:, before.synapses.places], start[before.synapses.places]
    if layer.recurrent_weight is not None:
        arguments |= {"panels": panels(layer.recurrent_weight), "loop_bias": layer.recurrent_bias}
    arguments["table"] = np.ascontiguousarray(table, real)
    return {"neurons": arguments, "start": start.astype(real)}


def run_compiled(network: Network, x, prepared: tuple[Stage, ...], *, wanted, threads: int, batch: int):
    """Tensors (T, B, ...) by name, and the additions made by each layer with weights.

    x is bool, or holds numbers that float32 can hold; blocks of it are converted as they are needed.
    """
    steps, images = x.shape[:2]
    batch = max(1, min(batch, -(-images // threads)))
    outputs = {name: _empty(name, network, prepared, x) for name in wanted}
    widest = max(prod(network.input_shape), *(stage.size for stage in prepared))
    at_once = max(1, min(steps, BLOCK_BYTES // (4 * widest * batch)))

    def run(first):
        part = slice(first, min(first + batch, images))
        block = _Block(network, prepared, part.stop - first)
        for start in range(0, steps, at_once):
            here = (slice(start, min(start + at_once, steps)), part)
            block.run(x[here], {name: array[here] for name, array in outputs.items()})
        return block.additions

    starts = range(0, images, batch)
    with mapper(min(threads, len(starts))) as each:
        made = list(each(run, starts))
    shapes = {name: network.shapes[name if name in network.shapes else name.removesuffix(".v")] for name in wanted}
    additions = {name: sum(one[name] for one in made) for name in made[0]}
    return {name: array.reshape(steps, images, *shapes[name]) for name, array in outputs.items()}, additions


def _empty(name, network: Network, prepared, x):
    """A tensor to be filled, (T, B, N)."""
    by_name = {stage.layer.name: stage for stage in prepared}
    if name == INPUT:
        size, dtype = prod(network.input_shape), input_type(x)
    elif name in by_name:
        size, dtype = by_name[name].size, by_name[name].dtype
    else:
        stage = by_name[name.removesuffix(".v")]
        size, dtype = stage.size, stage.real
    return np.empty((*x.shape[:2], size), dtype)


def input_type(x) -> type:
    """What inputs are computed with: bool, or float32."""
    return bool if x.dtype == bool else np.float32


class _Block:
    """A block of images on its way through the steps: the states of its neurons."""

    def __init__(self, network: Network, prepared, images: int):
        self.network, self.prepared, self.images = network, prepared, images
        self.states, self.tails = {}, {}
        self.additions = {}
        for stage in prepared:
            loops = stage.neurons is not None and "panels" in stage.neurons
            if stage.synapses is not None or loops:
                self.additions[stage.layer.name] = 0
            if stage.neurons is None:
                continue
            v = np.repeat(stage.start[None], images, axis=0)
            state = {"v": v, "current": np.zeros_like(v)}
            if loops:
                state["last"] = np.zeros(v.shape, np.uint8 if stage.layer.SPIKES else v.dtype)
            self.states[stage.layer.name] = state

    def run(self, x, outputs):
        """Some steps more; `outputs` are the parts of the tensors that are asked for."""
        tensors = {INPUT: _as_lines(x)}
        if INPUT in outputs:
            outputs[INPUT][:] = tensors[INPUT]
        for stage in self.prepared:
            reads = [tensors[name] for name in stage.layer.inputs]
            name = stage.layer.name
            if stage.synapses is not None:
                tensors[name] = self._sums(stage, reads[0])
            elif stage.neurons is not None:
                tensors[name] = self._steps(stage, reads[0], outputs)
                if len(self.network.readers(stage.layer.inputs[0])) == 1:
                    del tensors[stage.layer.inputs[0]], reads  # the largest there are
            else:
                tensors[name] = self._by_numpy(stage, reads)
            if name in outputs and stage.neurons is None:
                outputs[name][:] = tensors[name]

    def _sums(self, stage: Stage, x):
        steps, found = len(x), stage.synapses
        lines = _for_sums(x).reshape(steps, -1, found.inputs)
        drive = np.empty((*lines.shape[:2], found.outputs), np.float32)
        self.additions[stage.layer.name] += sums(found, lines, drive, wide=stage.real is np.float64)
        drive = drive.reshape(steps, self.images, stage.size)
        if stage.in_order and found.places is not None:
            ordered = np.empty_like(drive)
            ordered[:, :, found.places] = drive
            return ordered
        return drive

    def _steps(self, stage: Stage, drive, outputs):
        name, shape = stage.layer.name, drive.shape
        if drive.dtype not in (np.float32, np.float64):
            drive = drive.astype(np.float32)
        drive = self._delayed(stage, drive)
        out = outputs[name] if name in outputs else np.empty(shape, stage.dtype)
        trace = outputs.get(potential(stage.layer))
        spikes = stage.layer.SPIKES
        made = kernels.floating.run_neurons(
            drive, **stage.neurons, **self.states[name], out=out.view(np.uint8) if spikes else out,
            trace=trace if spikes else None,
        )  # fmt: skip
        if trace is not None and not spikes:
            trace[:] = out
        if "last" in self.states[name]:
            self.additions[name] += made
        return out

    def _delayed(self, stage: Stage, drive):
        """What arrives `late` steps late; nothing at first."""
        if not stage.late:
            return drive
        nothing = np.zeros((stage.late, *drive.shape[1:]), drive.dtype)
        joined = np.concatenate((self.tails.get(stage.layer.name, nothing), drive))
        self.tails[stage.layer.name] = joined[len(drive) :].copy()
        return joined[: len(drive)]

    def _by_numpy(self, stage: Stage, reads):
        shapes = [self.network.shapes[name] for name in stage.layer.inputs]
        given = [value.reshape(*value.shape[:2], *shape) for value, shape in zip(reads, shapes, strict=True)]
        found = stateless(self.network, stage.layer, given)
        return found.reshape(*found.shape[:2], stage.size)


def _as_lines(x):
    """Inputs (T, B, N): bool where they are all 0 or 1, else float32."""
    flat = x.reshape(*x.shape[:2], -1)
    if flat.dtype == bool:
        return flat
    if flat.dtype == np.uint8 and flat.max() <= 1:
        return flat.view(bool)
    return flat.astype(np.float32, copy=False)


def _for_sums(x):
    """Spikes as bytes, numbers as float32, the last axis contiguous."""
    x = x.view(np.uint8) if x.dtype == bool else x.astype(np.float32, copy=False)
    return x if x.strides[2] == x.itemsize else np.ascontiguousarray(x)
