"""Dynamic operands: a product of two activations, as in attention, on cells that are rewritten and on a digital unit.

Enter two arrays of one inference, a crossbar chip and a digital one; leave what the product costs both ways, how often
each cell is written, and how far the outputs are off. No layer of a network multiplies two activations, so that no run
of a network holds such products: their energy is added by hand, once for each of them.

On the crossbar one operand is written into cells before the rows of the other pass, every cell of it in every
inference: what the cells held before is not known. The other way it is multiplied in integers of the same bits; a
systolic array takes it from its on-chip memory, where it was made, once an inference, a processor from its memory. Both
run on the chips' own engines, with their counts and prices.
"""

from dataclasses import dataclass, replace

import numpy as np

from . import _checks
from ._counts import si
from .chip import Chip
from .crossbar import CrossbarChip, program
from .energy import Counts, Energy, Writing, price
from .errors import InputError
from .network import Dense, sequential
from .network.graph import Network
from .placement import place, run
from .result import Result
from .transform import quantize

WRITE = "cell_write"


@dataclass(frozen=True, eq=False, kw_only=True)
class DynamicProduct:
    """One product of two activations, both ways; made by `dynamic_product`.

    Attributes
    ----------
    name : str
    vectors, fan_in, outputs : int
        T, K and M of (T, K) x (K, M).
    rewritten, digital : Energy
        Of one inference, all vectors and the writing of the operand; of cells without a price for a write, the reads
        alone.
    rewritten_seconds, digital_seconds : float
        Time of all vectors, writing left out.
    cells, writes : int
        Cells that hold the operand, and their writes an inference.
    endurance : float or None
        Writes that a cell bears, as the caller says.
    rewritten_error, digital_error : float
        Root mean square error of the outputs over that of the outputs in floating point.
    """

    name: str
    vectors: int
    fan_in: int
    outputs: int
    chip_name: str
    digital_name: str
    rewritten: Energy
    digital: Energy
    rewritten_seconds: float
    digital_seconds: float
    cells: int
    writes: int
    endurance: float | None
    rewritten_error: float
    digital_error: float

    @property
    def writes_per_cell(self) -> float:
        """Writes of a cell an inference."""
        return self.writes / self.cells

    @property
    def inferences_until_worn(self) -> float | None:
        """Inferences after which the cells have been written as often as they bear; None without `endurance`."""
        return None if self.endurance is None else self.endurance / self.writes_per_cell

    @property
    def writes_priced(self) -> bool:
        """Whether the energy of the crossbar holds the writes."""
        return any(line.cost.event == WRITE for line in self.rewritten.lines)

    def __repr__(self):
        size = f"({self.vectors} x {self.fan_in}) x ({self.fan_in} x {self.outputs})"
        writes = "" if self.writes_priced else ", its writes not priced"
        worn = "endurance not given"
        if self.endurance is not None:
            worn = f"worn after {self.inferences_until_worn:,.4g} inferences ({self.endurance:g} writes a cell)"
        return "\n".join((
            f"{self.name}: {size}, of one inference",
            f"  rewritten on {self.chip_name}: {_joules(self.rewritten)}{writes}, "
            f"{si(self.rewritten_seconds, 's')} without writing, error {self.rewritten_error:.2%}",
            f"  {self.writes:,} writes of {self.cells:,} cells, {self.writes_per_cell:.3g} each; {worn}",
            f"  digital on {self.digital_name}: {_joules(self.digital)}, {si(self.digital_seconds, 's')}, error "
            f"{self.digital_error:.2%}",
        ))  # fmt: skip


def dynamic_product(
    a: np.ndarray,
    b: np.ndarray,
    chip: CrossbarChip,
    *,
    digital: Chip,
    name: str = "product",
    bits: int = 8,
    endurance: float | None = None,
    seed: int = 0,
) -> DynamicProduct:
    """Cost of ``a @ b``, two activations of one inference, with `b` written into cells and with digital products.

    Parameters
    ----------
    a : (T, K) array
        Rows that pass.
    b : (K, M) array
        Operand that is written, or fetched.
    chip : CrossbarChip
        Read right after each writing, so without drift. Prices of writes are few: put one into its table with
        ``costs.with_costs(components.RRAM_WRITE)``.
    digital : Chip
        Such as chips.TPU_V1; chips with a `batch` take all T rows in one launch.
    name : str
    bits : int, 2 to 8
        Of both operands.
    endurance : float, > 0, optional
        Writes that a cell bears; no preset knows it.
    seed : int

    Raises
    ------
    ArgumentTypeError, InputError, PlacementError
        Arrays that do not fit each other, or chips that do not take the product.

    Notes
    -----
    Not modelled: the time of writing, verify reads, and cells that are spared because two operands agree. The time of a
    systolic array is that with the operand fetched like weights.
    """
    who = "dynamic_product"
    _checks.instance(chip, CrossbarChip, who=who, name="chip")
    _checks.instance(digital, Chip, who=who, name="digital")
    a = _checks.finite_array(a, who=who, name="a", ndim=2)
    b = _checks.finite_array(b, who=who, name="b", ndim=2)
    if a.shape[1] != b.shape[0]:
        raise InputError(f"{who}: a is {a.shape} and b {b.shape}; the second size of a must be the first of b")
    if endurance is not None:
        endurance = _checks.real(endurance, who=who, name="endurance", low=1.0)
    layer = Dense(name=name, weight=np.ascontiguousarray(b.T))
    net = sequential([layer], input_shape=(a.shape[1],), name=name)
    net = quantize(net, samples=a, weight_bits=bits, activation_bits=bits)
    fresh = replace(chip, seconds=0.0, writing=Writing())
    crossed = run(net, fresh, a, seed=seed, progress=False)
    cells, writes = _writes(net, fresh, crossed, seed)
    batched = {"batch": len(a)} if hasattr(digital, "batch") else {}
    fetched = run(net, replace(digital, writing=None, **batched), a, seed=seed, progress=False)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    made_here = _from_on_chip(fetched.counts, name, -(-b.size * bits // 8))
    return DynamicProduct(
        name=name, vectors=len(a), fan_in=len(b), outputs=b.shape[1], chip_name=chip.name, digital_name=digital.name,
        rewritten=_as_one(net, fresh, crossed, crossed.counts, Counts({(name, WRITE): writes})),
        digital=_as_one(net, digital, fetched, made_here),
        rewritten_seconds=len(a) / crossed.throughput, digital_seconds=len(a) / fetched.throughput, cells=cells,
        writes=writes, endurance=endurance, rewritten_error=_error(crossed, exact),
        digital_error=_error(fetched, exact),
    )  # fmt: skip


def attention(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, chip: CrossbarChip, *, digital: Chip, **options
) -> tuple[DynamicProduct, DynamicProduct]:
    """Both products of one head of attention: ``q @ k.T``, and ``softmax(q @ k.T / sqrt(d)) @ v``.

    Parameters
    ----------
    q : (T, d) array
    k : (S, d) array
    v : (S, e) array
    chip, digital, options
        As in `dynamic_product`; `name` is left out.
    """
    q, k, v = (
        _checks.finite_array(array, who="attention", name=name, ndim=2)
        for name, array in (("q", q), ("k", k), ("v", v))
    )
    scores = dynamic_product(q, k.T, chip, digital=digital, name="scores", **options)
    weights = np.exp((found := q @ k.T / np.sqrt(q.shape[1])) - found.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return scores, dynamic_product(weights, v, chip, digital=digital, name="values", **options)


def _writes(net: Network, chip: CrossbarChip, result: Result, seed: int) -> tuple[int, int]:
    """Cells that hold the operand, reference columns included, and how often they are written: once, or by pulses."""
    tiles = [held for found in program(net, chip, seed=seed).cells.values() for held in found]
    held = [cells for tile in tiles for cells in (tile.cells, tile.reference) if cells is not None]
    cells = sum(int(np.size(found.conductance)) for found in held)
    return cells, max(cells, result.energy.writes.total(WRITE))


def _from_on_chip(counts: Counts, layer: str, size: int) -> Counts:
    """Counts in which the operand, `size` bytes, is read like activations and not fetched as tiles of weights."""
    if (layer, "weight_byte") not in counts:
        return counts
    left = {key: n for key, n in counts.items() if key != (layer, "weight_byte")}
    left[layer, "activation_read_byte"] = left.get((layer, "activation_read_byte"), 0) + size
    return Counts(left)


def _as_one(net: Network, chip: Chip, result: Result, counts: Counts, writes: Counts | None = None) -> Energy:
    """The energy of all rows as that of one inference, with its own writing."""
    seconds = len(result.outputs) / result.throughput
    units = {"core": len(place(net, chip).sites), "chip": 1, "board": 1}
    return price(
        counts, chip.costs, seconds=seconds, inferences=1, units=units, boundary=result.boundary, writes=writes,
        writing=None if writes is None else Writing(inferences=1),
    )  # fmt: skip


def _error(result: Result, exact: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(result.outputs - exact)) / np.mean(np.square(exact))))


def _joules(energy: Energy) -> str:
    return "energy unknown" if energy.unknown else si(energy.total, "J")
