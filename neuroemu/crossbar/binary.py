"""Binary cells: layers whose cells hold two levels and whose inputs come bit by bit, read by counting.

Enter an engine and its weights; leaves an engine that reads all planes and slices of a layer in one call of the
popcount kernel, or the same engine where counting would not be exact: when cells of one column that hold the same level
are not alike, as programming errors and noise that outlasts a read make them.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import kernels
from .cells import Layout
from .inputs import BitSerial
from .programming import Weights


@dataclass(frozen=True, eq=False)
class BinaryPart:
    """All rows of a layer of binary cells, with columns in the order of the outputs' slices.

    Attributes
    ----------
    packed : kernels.binary.Packed
    levels : dict of (T, C) float32
        "gain" and "base", the current that a one adds and that of a zero, and with read noise "on_variance" and
        "off_variance".
    factors : (S,) float64
        Weights of the slices.
    columns : (C,) int or None
        Physical column at each place; None: all are in order.
    """

    packed: object
    levels: dict[str, np.ndarray]
    factors: np.ndarray
    columns: np.ndarray | None

    def read(self, engine, x: np.ndarray, first: int) -> np.ndarray:
        """Outputs (B, P, M) of row inputs (B, P, R): all planes, and both phases where there are two."""
        if engine.inputs.phases == 1:
            return self._read_signed(engine, x, first, 0)
        positive, negative = (np.maximum(x if number == 0 else -x, np.float32(0)) for number in range(2))
        return self._read_signed(engine, positive, first, 0) - self._read_signed(engine, negative, first, 1)

    def _read_signed(self, engine, x: np.ndarray, first: int, number: int) -> np.ndarray:
        planes = engine.planes // engine.inputs.phases
        out = np.empty((*x.shape[:2], self.packed.M))
        clipped, driven = np.zeros((2, self.packed.n_row_tiles), np.int64)
        kernels.binary.mvm(
            self.packed, np.ascontiguousarray(x, np.float32), out, planes=planes, **self.levels, factors=self.factors,
            constant=self._in_order(engine.tables.constant * float((1 << planes) - 1)), **_driver(engine),
            **self._converter(engine), seed=engine.seed, stream=engine.part.streams[0], image_offset=first,
            read_number=number, threads=engine.threads, clipped=clipped, driven=driven,
        )  # fmt: skip
        engine.tally.add(adc_clips=int(clipped.sum()), drives=int(driven @ engine.arrays))
        return out

    def _converter(self, engine) -> dict:
        tables = engine.tables
        given = {"adc_back": self._in_order(tables.back)}
        if tables.step is None:
            return given
        given |= {"adc_step": self._in_order(tables.step), "adc_offset": self._in_order(tables.offset)}
        return given | {"adc_limit": engine.adc.limit, "adc_noise": engine.adc.noise}

    def _in_order(self, table: np.ndarray | None) -> np.ndarray | None:
        return table if table is None or self.columns is None else np.ascontiguousarray(table[..., self.columns])


def with_counted_reads(engine, weights: Weights):
    """The engine with reads by counting where they are exact, and the same engine elsewhere."""
    part = None if engine.folded is not None or not _is_binary(engine, weights) else _part(engine, weights)
    return engine if part is None else replace(engine, counted=part)


def _is_binary(engine, weights: Weights) -> bool:
    """Whether a single bit drives each row of an ohmic cell, and nothing but fresh read noise and an ADC follows."""
    scheme, tables = engine.inputs, engine.tables
    exact = isinstance(scheme, BitSerial) and scheme.bits_per_step == 1 and tables.edges is None
    return (
        exact
        and engine.drivers is None
        and engine.conduction is None
        and not engine.part.packed.exact
        and weights.slow_sigma is None
        and not weights.further
    )


def _part(engine, weights: Weights) -> BinaryPart | None:
    layout, columns = engine.layout, engine.layout.terms.ravel()
    if layout.factors.ndim > 1 and (layout.factors != layout.factors[:, :1]).any():
        return None
    if not np.array_equal(np.sort(columns), np.arange(layout.levels.shape[1])):
        return None  # a column that several outputs take, as reference columns are
    ones = _ones(layout)
    levels = _levels(weights, ones, engine.rows_per_tile)
    if levels is None:
        return None
    columns = None if (columns == np.arange(columns.size)).all() else columns
    arranged = ones if columns is None else ones[:, columns]
    plus, minus = ((arranged == sign).astype(np.uint8) for sign in (1, -1))
    packed = kernels.binary.pack(plus, minus if minus.any() else None, len(layout.terms), engine.rows_per_tile)
    if columns is not None:
        levels = {name: np.ascontiguousarray(table[:, columns]) for name, table in levels.items()}
    factors = layout.factors if layout.factors.ndim == 1 else np.ascontiguousarray(layout.factors[:, 0])
    return BinaryPart(packed, levels, factors, columns)


def _ones(layout: Layout) -> np.ndarray:
    """(R, C) float32: 1 or, in pairs, -1 where a cell holds a one, 0 where it holds a zero, NaN in rows not built."""
    lowest = layout.levels.min()
    ones = np.sign(layout.levels) if lowest < 0 else (layout.levels > lowest).astype(np.float32)
    if layout.order is not None:
        ones[layout.order < 0] = np.nan
    return ones


def _levels(weights: Weights, ones: np.ndarray, rows_per_tile: int) -> dict[str, np.ndarray] | None:
    """Tables of what ones and zeros conduct; None when cells of one level differ, or zeros of pairs conduct."""
    names = ("on", "base") if weights.fresh_variance is None else ("on", "base", "on_variance", "off_variance")
    found = {name: [] for name in names}
    for start in range(0, len(ones), rows_per_tile):
        rows = slice(start, start + rows_per_tile)
        one, zero = np.abs(ones[rows]) == 1, ones[rows] == 0
        alike = [_alike(weights.mean[rows] * ones[rows], one), _alike(weights.mean[rows], zero)]
        if weights.fresh_variance is not None:
            alike += [_alike(weights.fresh_variance[rows], which) for which in (one, zero)]
        if any(values is None for values in alike):
            return None
        for name, values in zip(names, alike, strict=True):
            found[name].append(values)
    tables = {name: np.stack(values) for name, values in found.items()}
    if (ones < 0).any() and tables["base"].any():
        return None
    return {"gain": tables["on"] - tables["base"]} | {name: tables[name] for name in names[1:]}


def _alike(values: np.ndarray, where: np.ndarray) -> np.ndarray | None:
    """(C,) float32: the value that all cells of a column have where `where` holds, or None when they differ."""
    least = np.where(where, values, np.float32(np.inf)).min(axis=0)
    if (least < np.where(where, values, np.float32(-np.inf)).max(axis=0)).any():
        return None
    return np.where(where.any(axis=0), least, np.float32(0))


def _driver(engine) -> dict:
    return {} if engine.dac.limit is None else {"dac_scale": engine.dac_scale, "dac_limit": engine.dac.limit}
