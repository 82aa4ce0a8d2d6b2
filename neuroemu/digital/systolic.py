"""A weight-stationary systolic array: tiles of weights wait in a grid of R x C multipliers, activations flow through.

Enter a quantized network; leave exact outputs, event counts and cycles. Two timings, for a layer of F tiles:

    serial           F (2 R + C + T - 2)                              the weights of each tile are loaded, then used
    double-buffered  2 R + C - 2 + F max(T, R, R C b f / bandwidth)    the next tile is loaded meanwhile

with T = batch x output positions, b bytes a weight and f the clock. The first is the weight-stationary formula of
SCALE-Sim (A. Samajdar et al., arXiv:1811.02883); with one tile, enough rows in flight and enough bandwidth the second
equals it. The second is the TPU of N. Jouppi et al., ISCA 2017, doi:10.1145/3079856.3080246.

Not modelled: stalls on read-after-write hazards, the time of elementwise layers (10 to 32 % of the TPU's cycles), the
limit of the accumulators (each tile is fetched once a batch), transfers to and from the host, and skipping of zeros:
a tile is fetched whole, padding included, and every multiplication with a zero is done.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np

from .. import _checks
from ..chip import Chip, Execution, Progress, Site, silent
from ..energy import Counts
from ..errors import PlacementError
from ..network.graph import Network
from . import _work
from .scale_sim import scale_sim_cycles


@dataclass(frozen=True, kw_only=True)
class SystolicArray(Chip):
    """A weight-stationary array with on-chip activations and weights streamed from memory.

    Parameters
    ----------
    rows, columns : int, >= 1
        R takes the fan-in, C the outputs.
    clock_hz : float, > 0
    weight_bandwidth : float, > 0
        Bytes per second from the weight memory.
    double_buffered : bool
        Whether the next tile is loaded while the present one works.
    batch : int, >= 1
        Inputs that share one pass over the weights. Latency is that of a batch.
    activation_bits, weight_bits : int
        Width of the multipliers' operands; narrower codes travel and are stored at this width.
    buffer_bytes : int
        On-chip memory; what each layer reads and writes must fit together, for a batch. Elementwise layers work in
        place; tensors kept for a later layer are not counted.

    Notes
    -----
    Events by layer, for all inputs: "mac" (useful ones, zeros included), "cycle", "weight_byte" (from memory),
    "activation_read_byte" and "activation_write_byte" (on chip), "vector_op" (layers without weights).
    """

    rows: int
    columns: int
    clock_hz: float
    weight_bandwidth: float
    buffer_bytes: int
    double_buffered: bool = True
    batch: int = 1
    activation_bits: int = 8
    weight_bits: int = 8

    def __post_init__(self):
        for name in ("rows", "columns", "batch", "buffer_bytes", "activation_bits", "weight_bits"):
            _checks.integer(getattr(self, name), who=self.name, name=name, low=1)
        for name in ("clock_hz", "weight_bandwidth"):
            _checks.real(getattr(self, name), who=self.name, name=name, low=1.0)

    def place(self, network: Network) -> tuple[Site, ...]:
        """One site for each tile; its utilisation is the share of multipliers that hold a weight.

        Raises
        ------
        PlacementError
            The network is spiking or not quantized, or a layer's activations do not fit on the chip.
        """
        _work.refuse_spiking(network, self.name)
        if not network.quantized:
            raise PlacementError(
                f"{self.name}: network '{network.name}' is float, the array multiplies integers; quantize it"
            )
        self._refuse_large(network)
        return tuple(site for product in _work.products(network) for site in self._tiles(product))

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
        """Exact outputs (1, B, K), counts and timing; the arithmetic is that of the integer reference.

        A digital machine repeats itself: `seed` and `trials` change nothing, there is one trial.
        `interval` is the time of all batches divided by B, a last partial batch included.
        """
        products, plan = _work.products(network), _work.batches(len(x), self.batch)
        cycles = {p.layer: {size: self.cycles(p, size) for size in plan} for p in products}
        seconds = {size: sum(c[size] for c in cycles.values()) / self.clock_hz for size in plan}
        largest = max(plan)
        return Execution(
            outputs=_work.outputs(network, x, threads, progress),
            counts=self._counts(network, products, cycles, plan),
            latency=seconds[largest],
            interval=sum(n * seconds[size] for size, n in plan.items()) / len(x),
            batch=largest,
            traces={
                "batch": self.batch,
                "layer_seconds": {layer: c[largest] / self.clock_hz for layer, c in cycles.items()},
                "limit": {p.layer: self._limit(p, largest) for p in products},
            },
            notes=(f"batch {largest}; each tile of weights is fetched once a batch",),
        )

    def cycles(self, product: _work.Product, batch: int) -> int:
        """Cycles of one layer for one batch; the formulas stand at the top of the module."""
        positions = batch * product.positions
        if not self.double_buffered:
            sizes = (self.rows, self.columns, product.fan_in, product.outputs, positions)
            return product.groups * scale_sim_cycles(*sizes)
        beat = max(positions, self.rows, self._fetch_cycles())
        return 2 * self.rows + self.columns - 2 + self._folds(product) * beat

    def _folds(self, product: _work.Product) -> int:
        return product.groups * ceil(product.fan_in / self.rows) * ceil(product.outputs / self.columns)

    def _fetch_cycles(self) -> int:
        """Cycles to bring one whole tile from memory."""
        return ceil(self._tile_bytes() * self.clock_hz / self.weight_bandwidth)

    def _tile_bytes(self) -> int:
        return ceil(self.rows * self.columns * self.weight_bits / 8)

    def _limit(self, product: _work.Product, batch: int) -> str:
        """What sets the pace of a tile: "multipliers", "weight fetch" or "weight shift"."""
        times = {"multipliers": batch * product.positions}
        times |= {"weight shift": self.rows, "weight fetch": self._fetch_cycles()}
        return max(times, key=times.get) if self.double_buffered else "serial load"

    def _tiles(self, product: _work.Product) -> Iterator[Site]:
        unit = 0
        for group in range(product.groups):
            for top in range(0, product.fan_in, self.rows):
                bottom = min(top + self.rows, product.fan_in)
                for left in range(0, product.outputs, self.columns):
                    right = min(left + self.columns, product.outputs)
                    first = group * product.outputs
                    yield Site(
                        layer=product.layer,
                        unit=unit,
                        rows=(top, bottom),
                        columns=(first + left, first + right),
                        utilisation=(bottom - top) * (right - left) / (self.rows * self.columns),
                        details={"group": group},
                    )
                    unit += 1

    def _counts(self, network, products, cycles, plan) -> Counts:
        n_inputs = sum(size * launches for size, launches in plan.items())
        launches, width = sum(plan.values()), ceil(self.activation_bits / 8)
        pairs = []
        for p in products:
            reads = p.groups * p.fan_in * p.positions * ceil(p.outputs / self.columns)
            pairs += [
                (p.layer, "mac", n_inputs * p.macs),
                (p.layer, "cycle", sum(n * cycles[p.layer][size] for size, n in plan.items())),
                (p.layer, "weight_byte", launches * self._folds(p) * self._tile_bytes()),
                (p.layer, "activation_read_byte", n_inputs * reads * width),
                (p.layer, "activation_write_byte", n_inputs * p.groups * p.outputs * p.positions * width),
            ]
        pairs += [(layer, "vector_op", n_inputs * n) for layer, n in _work.vector_operations(network).items()]
        return Counts.from_pairs(pairs)

    def _refuse_large(self, network: Network):
        width = ceil(self.activation_bits / 8)
        needs = {layer.name: _work.values_moved(network, layer) * width for layer in network.layers}
        worst = max(needs, key=needs.get)
        if needs[worst] * self.batch > self.buffer_bytes:
            fitting = self.buffer_bytes // needs[worst]
            remedy = f"use batch={fitting}" if fitting else "use smaller inputs"
            raise PlacementError(
                f"{self.name}: layer '{worst}': activations of batch {self.batch} take {needs[worst] * self.batch:,} "
                f"bytes, the chip holds {self.buffer_bytes:,}; {remedy}"
            )
