"""A systolic array: a grid of R x C multipliers in which one operand waits while the others flow through.

Enter a quantized network; leave exact outputs, event counts and cycles. Two timings, for a layer of F folds (of
weights, inputs or sums, whichever is stationary) that take L cycles to load and t to pass:

    serial           F (L + R + C + t - 2)                       each fold is loaded, then used
    double-buffered  L + R + C - 2 + F max(t, L, b W f / bandwidth)    the next fold is loaded meanwhile

with W weights of b bytes fetched for a fold and f the clock:

| stationary | t, cycles                  | L | W   |
|------------|----------------------------|---|-----|
| "weight"   | T = batch x output positions | R | R C |
| "input"    | M, outputs                 | R | R M |
| "output"   | K, fan-in                  | 0 | K C |

The first timing is SCALE-Sim's (see `scale_sim`); with one fold, enough rows in flight and enough bandwidth the second
equals it. With stationary weights the second is the TPU of N. Jouppi et al., ISCA 2017, doi:10.1145/3079856.3080246;
for stationary inputs and outputs it is the same reasoning, without a machine to compare with.

Not modelled: stalls on read-after-write hazards, the time of elementwise layers (10 to 32 % of the TPU's cycles), the
limit of the accumulators (stationary weights are fetched once a batch; with stationary inputs or outputs, weights are
fetched from memory again for each fold of positions), transfers to and from the host, and skipping of zeros: a fold is
fetched whole, padding included, and every multiplication with a zero is done.
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
from ..usage import Usage
from . import _work
from .scale_sim import STATIONARY, Folds, folds, scale_sim_accesses

FETCHES = {
    "weight": "each tile of weights is fetched once a batch",
    "input": "weights are fetched again for each fold of input positions",
    "output": "weights are fetched again for each fold of output positions",
}


@dataclass(frozen=True, kw_only=True)
class SystolicArray(Chip):
    """An array with on-chip activations and weights streamed from memory.

    Parameters
    ----------
    rows, columns : int, >= 1
        R takes the fan-in, C the outputs; with stationary inputs C takes positions, with stationary outputs R does.
    clock_hz : float, > 0
    weight_bandwidth : float, > 0
        Bytes per second from the weight memory.
    double_buffered : bool
        Whether the next fold is loaded while the present one works.
    stationary : {"weight", "input", "output"}
        The operand that waits in the array.
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
    stationary: str = "weight"
    batch: int = 1
    activation_bits: int = 8
    weight_bits: int = 8

    def __post_init__(self):
        for name in ("rows", "columns", "batch", "buffer_bytes", "activation_bits", "weight_bits"):
            _checks.integer(getattr(self, name), who=self.name, name=name, low=1)
        for name in ("clock_hz", "weight_bandwidth"):
            _checks.real(getattr(self, name), who=self.name, name=name, low=1.0)
        _checks.choice(self.stationary, STATIONARY, who=self.name, name="stationary")

    def place(self, network: Network) -> tuple[Site, ...]:
        """One site for each tile of weights that meets the array at once; what that is depends on what is stationary.

        Its utilisation is the share of multipliers at work, averaged over the folds of a batch.

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
        for layer in network.weighted:
            if layer.in_groups:
                raise PlacementError(
                    f"{self.name}: layer '{layer.name}' has a weight step for each group of {layer.weight_grid.group} "
                    "inputs, and the array adds sums up unscaled; use quantize(..., groups=None)"
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
            usage=self._usage(products, cycles, plan, sites),
            traces={
                "batch": self.batch,
                "layer_seconds": {layer: c[largest] / self.clock_hz for layer, c in cycles.items()},
                "limit": {p.layer: self._limit(p, largest) for p in products},
            },
            notes=(f"batch {largest}; {FETCHES[self.stationary]}",),
        )

    def cycles(self, product: _work.Product, batch: int) -> int:
        """Cycles of one layer for one batch; the formulas stand at the top of the module."""
        cut = self._cut(product, batch)
        fill, count = cut.load + self.rows + self.columns - 2, product.groups * cut.count
        if not self.double_buffered:
            return count * (fill + cut.time)
        return fill + count * max(cut.time, cut.load, self._fetch_cycles(product))

    def _usage(self, products, cycles, plan, sites) -> Usage:
        """Shares of the grid: cycles in which operands pass through it, and multiply-accumulates over its peak."""
        spent = sum(n * cycles[p.layer][size] for p in products for size, n in plan.items())
        passing = sum(
            n * p.groups * self._cut(p, size).count * self._cut(p, size).time
            for p in products
            for size, n in plan.items()
        )
        useful = sum(n * size * p.macs for p in products for size, n in plan.items())
        return Usage(
            units=len(sites), cells=float(np.mean([site.utilisation for site in sites])) if sites else 0.0,
            busy=passing / spent, work=useful / (self.rows * self.columns * spent),
        )  # fmt: skip

    def _cut(self, product: _work.Product, batch: int) -> Folds:
        """Folds of one group of a layer, for one batch."""
        sizes = (product.fan_in, product.outputs, batch * product.positions)
        return folds(self.rows, self.columns, *sizes, self.stationary)

    def _fetch_cycles(self, product: _work.Product) -> int:
        """Cycles to bring the weights of one fold from memory."""
        return ceil(self._fold_bytes(product) * self.clock_hz / self.weight_bandwidth)

    def _fold_bytes(self, product: _work.Product) -> int:
        down = product.fan_in if self.stationary == "output" else self.rows
        across = product.outputs if self.stationary == "input" else self.columns
        return ceil(down * across * self.weight_bits / 8)

    def _limit(self, product: _work.Product, batch: int) -> str:
        """What sets the pace of a fold: "multipliers", "weight fetch", or the shift of the stationary operand."""
        cut = self._cut(product, batch)
        times = {"multipliers": cut.time, f"{self.stationary} shift": cut.load}
        times["weight fetch"] = self._fetch_cycles(product)
        return max(times, key=times.get) if self.double_buffered else "serial load"

    def _tiles(self, product: _work.Product) -> Iterator[Site]:
        down = product.fan_in if self.stationary == "output" else self.rows
        across = product.outputs if self.stationary == "input" else self.columns
        positions, unit = self.batch * product.positions, 0
        for group in range(product.groups):
            for top in range(0, product.fan_in, down):
                bottom = min(top + down, product.fan_in)
                for left in range(0, product.outputs, across):
                    right = min(left + across, product.outputs)
                    first = group * product.outputs
                    used_rows = _share(positions, self.rows) if self.stationary == "output" else (bottom - top) / down
                    used = _share(positions, self.columns) if self.stationary == "input" else (right - left) / across
                    yield Site(
                        layer=product.layer,
                        unit=unit,
                        rows=(top, bottom),
                        columns=(first + left, first + right),
                        utilisation=used_rows * used,
                        details={"group": group},
                    )
                    unit += 1

    def _counts(self, network, products, cycles, plan) -> Counts:
        n_inputs = sum(size * launches for size, launches in plan.items())
        width = ceil(self.activation_bits / 8)
        pairs = []
        for p in products:
            sizes = (self.rows, self.columns, p.fan_in, p.outputs, p.positions)
            reads = p.groups * scale_sim_accesses(*sizes, stationary=self.stationary).input_reads
            fetched = sum(n * p.groups * self._cut(p, size).count for size, n in plan.items()) * self._fold_bytes(p)
            pairs += [
                (p.layer, "mac", n_inputs * p.macs),
                (p.layer, "cycle", sum(n * cycles[p.layer][size] for size, n in plan.items())),
                (p.layer, "weight_byte", fetched),
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


def _share(size: int, width: int) -> float:
    """Share of the folds of `width` that `size` fills."""
    return size / (width * ceil(size / width))
