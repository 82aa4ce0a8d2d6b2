"""A processor as a roofline: each layer runs at the speed of its arithmetic or of its memory traffic.

Enter a quantized or a float network; leave exact outputs, event counts and

    t_layer = max(launch_floor, ops / (u peak), bytes / (u bandwidth)),   latency = sum t_layer + host transfer

with 1 MAC = 2 ops and u the share of the peaks that real programs reach, given as (low, likely, high).

Reference: S. Williams, A. Waterman, D. Patterson, CACM 2009, doi:10.1145/1498765.1498785.

Layers that follow a product elementwise (Clip, Scale, BatchNorm) are taken as fused into it, and layers that move
nothing (Flatten, Reshape) as free. Not modelled: caches (each layer reads its input and writes its output through
memory, and its weights once a batch), overlap of layers, zeros (all are computed), clocks that change with load.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType

import numpy as np

from .. import _checks
from ..chip import Chip, Execution, Progress, Site, silent
from ..energy import Counts
from ..errors import InputError, PlacementError
from ..network.graph import Network
from ..usage import Usage
from . import _work


def roofline_seconds(
    ops: float, bytes_moved: float, *, peak: float, bandwidth: float, utilisation: float = 1.0, floor: float = 0.0
) -> float:
    """Seconds of one kernel, max(floor, ops / (u peak), bytes / (u bandwidth)).

    Parameters
    ----------
    ops, bytes_moved : float, >= 0
    peak, bandwidth : float, > 0
        Operations and bytes per second.
    utilisation : float, 0 < u <= 1
    floor : float, >= 0
        Seconds below which no kernel is launched and finished.
    """
    return max(floor, ops / (utilisation * peak), bytes_moved / (utilisation * bandwidth))


@dataclass(frozen=True, kw_only=True)
class Roofline(Chip):
    """A CPU or GPU.

    Parameters
    ----------
    peak_ops : mapping from int to float
        Operations per second by operand bits: {8: ..., 16: ...}. Codes of 8 bits or fewer run at the rate of 8 and
        move as bytes; a float network runs at the rate of the widest entry, and its values move at that width.
    bandwidth : float, > 0
        Bytes per second of main memory.
    utilisation : (float, float, float)
        (low, likely, high) share of the peaks, 0 < low <= likely <= high <= 1. Timing uses the likely one; the
        others bound `traces["latency_band"]`.
    launch_floor : float, >= 0
        Seconds that a layer takes at least.
    host_bandwidth : float, > 0, or None
        Bytes per second between host and device; None when there is no device to copy to.
    host_call : float, >= 0
        Seconds of one copy call; two a batch, inputs and outputs.
    batch : int, >= 1
        Inputs that share a launch. Latency is that of a batch.

    Notes
    -----
    Events by layer, for all inputs: "op_int8", "op_fp16" or "op_fp32" (2 for each MAC, 1 for each elementwise
    operation), "memory_byte"; and by batch "kernel_launch", "host_byte" of the layer "host".
    """

    peak_ops: Mapping[int, float]
    bandwidth: float
    utilisation: tuple[float, float, float]
    launch_floor: float = 0.0
    host_bandwidth: float | None = None
    host_call: float = 0.0
    batch: int = 1
    sources: Mapping[str, str] = field(default_factory=dict)  # field -> where its figure is from

    def __post_init__(self):
        peaks = {_bits(bits, self.name): _positive(v, self.name, "peak_ops") for bits, v in self.peak_ops.items()}
        if 8 not in peaks:
            raise InputError(f"{self.name}: peak_ops has rates for {sorted(peaks)} bits; give one for 8")
        object.__setattr__(self, "peak_ops", MappingProxyType(peaks))
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))
        _positive(self.bandwidth, self.name, "bandwidth")
        if self.host_bandwidth is not None:
            _positive(self.host_bandwidth, self.name, "host_bandwidth")
        for name in ("launch_floor", "host_call"):
            _checks.real(getattr(self, name), who=self.name, name=name, low=0)
        _checks.integer(self.batch, who=self.name, name="batch", low=1)
        if len(self.utilisation) != 3 or not 0 < self.utilisation[0] <= self.utilisation[1] <= self.utilisation[2] <= 1:
            raise InputError(f"{self.name}: utilisation is {self.utilisation}; give 0 < low <= likely <= high <= 1")

    def place(self, network: Network) -> tuple[Site, ...]:
        """One site for each weighted layer; its utilisation is the share of the peak arithmetic rate that it reaches.

        Raises
        ------
        PlacementError
            The network is spiking, or it is float and only 8 bits have a rate.
        """
        _work.refuse_spiking(network, self.name)
        if not network.quantized and max(self.peak_ops) == 8:
            raise PlacementError(
                f"{self.name}: network '{network.name}' is float, and only codes of 8 bits have a rate; quantize it"
            )
        peak = self.peak_ops[self._operand_bits(network)]
        sites = []
        for p in _work.products(network):
            ops, moved = self._kernels(network, self.batch)[p.layer]
            share = ops / peak / self._seconds(network, ops, moved, self.utilisation[1])
            whole = {"rows": (0, p.fan_in), "columns": (0, p.groups * p.outputs)}
            details = {"ops_per_byte": ops / moved}
            sites.append(Site(layer=p.layer, unit=0, utilisation=share, details=details, **whole))
        return tuple(sites)

    def execute(
        self,
        network: Network,
        sites: tuple[Site, ...],
        x: np.ndarray,
        *,
        seed: int,
        trials: int,
        threads: int,
        progress: Progress = silent,
    ) -> Execution:
        """Exact outputs (1, B, K), counts and timing; the arithmetic is that of the reference executors.

        A digital machine repeats itself: `seed` and `trials` change nothing, there is one trial.
        `interval` is the time of all batches divided by B, a last partial batch included.
        """
        plan = _work.batches(len(x), self.batch)
        low, likely, high = self.utilisation
        seconds = {size: self.latency(network, size, likely) for size in plan}
        largest = max(plan)
        kernels = self._kernels(network, largest)
        return Execution(
            outputs=_work.outputs(network, x, threads, progress),
            counts=self._counts(network, plan),
            latency=seconds[largest],
            interval=sum(n * seconds[size] for size, n in plan.items()) / len(x),
            batch=largest,
            usage=self._usage(network, plan, sites, sum(n * seconds[size] for size, n in plan.items())),
            traces={
                "batch": self.batch,
                "layer_seconds": {k: self._seconds(network, *work, likely) for k, work in kernels.items()},
                "host_seconds": self._host_seconds(network, largest),
                "latency_band": (self.latency(network, largest, high), self.latency(network, largest, low)),
            },
            notes=(f"batch {largest}; utilisation {likely:g} of peak is {self._why()}",),
        )

    def _usage(self, network: Network, plan, sites, spent: float) -> Usage:
        """Shares of the processor: operations over its peak in the time spent, host transfers included."""
        done = sum(n * ops for size, n in plan.items() for ops, _ in self._kernels(network, size).values())
        peak = self.peak_ops[self._operand_bits(network)]
        cells = float(np.mean([site.utilisation for site in sites])) if sites else 0.0
        return Usage(units=len({site.unit for site in sites}), cells=cells, work=done / (peak * spent))

    def latency(self, network: Network, batch: int, utilisation: float) -> float:
        """Seconds of one batch, host transfer included."""
        layers = sum(self._seconds(network, *work, utilisation) for work in self._kernels(network, batch).values())
        return layers + self._host_seconds(network, batch)

    def _why(self) -> str:
        return self.sources.get("utilisation", "the caller's")

    def _operand_bits(self, network: Network) -> int:
        return 8 if network.quantized else max(self.peak_ops)

    def _kernels(self, network: Network, batch: int) -> dict[str, tuple[int, int]]:
        """{layer: (ops, bytes)} of each kernel launched for one batch."""
        width = self._operand_bits(network) // 8
        bias_width = 4 if network.quantized else width
        weighted = {p.layer: p for p in _work.products(network)}
        elementwise, kernels = _work.vector_operations(network), {}
        for layer in network.layers:
            if isinstance(layer, _work.IN_PLACE):
                continue
            values = _work.values_moved(network, layer)
            if layer.name in weighted:
                p = weighted[layer.name]
                moved = (values * batch + p.weights) * width + p.biases * bias_width + p.factors
                # The sum of each group of weights is multiplied by its factor, a byte, and added.
                kernels[layer.name] = (2 * (p.macs + p.factors * p.positions) * batch, moved)
            else:
                kernels[layer.name] = (elementwise[layer.name] * batch, values * batch * width)
        return kernels

    def _seconds(self, network: Network, ops: int, moved: int, utilisation: float) -> float:
        return roofline_seconds(
            ops,
            moved,
            peak=self.peak_ops[self._operand_bits(network)],
            bandwidth=self.bandwidth,
            utilisation=utilisation,
            floor=self.launch_floor,
        )

    def _host_bytes(self, network: Network, batch: int) -> int:
        width = self._operand_bits(network) // 8
        return batch * width * (prod(network.input_shape) + prod(network.output_shape))

    def _host_seconds(self, network: Network, batch: int) -> float:
        if self.host_bandwidth is None:
            return 0.0
        return 2 * self.host_call + self._host_bytes(network, batch) / self.host_bandwidth

    def _counts(self, network: Network, plan: dict[int, int]) -> Counts:
        bits = self._operand_bits(network)
        op = "op_int8" if bits == 8 else f"op_fp{bits}"
        pairs = []
        for size, launches in plan.items():
            for layer, (ops, moved) in self._kernels(network, size).items():
                pairs += [(layer, op, launches * ops), (layer, "memory_byte", launches * moved)]
                pairs.append((layer, "kernel_launch", launches))
            if self.host_bandwidth is not None:
                pairs.append(("host", "host_byte", launches * self._host_bytes(network, size)))
        return Counts.from_pairs(pairs)


def _bits(value, who: str) -> int:
    return _checks.choice(_checks.integer(value, who=who, name="peak_ops bits"), (8, 16, 32), who=who, name="bits")


def _positive(value, who: str, name: str) -> float:
    if _checks.real(value, who=who, name=name) <= 0:
        raise InputError(f"{who}: {name} is {value}; it must be positive")
    return float(value)
