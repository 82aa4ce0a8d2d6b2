"""Binary cells: layers whose cells hold two levels and whose inputs come bit by bit, read by counting.

Enter effective weights; leaves a BinaryPart, which reads all planes and slices of a layer in one call of the popcount
kernel, or None where counting would not be exact: when cells of one column that hold the same level are not alike, as
programming errors and noise that outlasts a read make them.
"""

from dataclasses import dataclass

import numpy as np

from .. import kernels
from .cells import Layout
from .inputs import BitSerial, InputScheme
from .programming import Weights


@dataclass(frozen=True, eq=False)
class BinaryPart:
    """All rows of a layer of binary cells. Tables are (T, C) float32, by row tile and physical column.

    Attributes
    ----------
    packed : kernels.binary.Packed
    levels : dict
        "gain" and "base", the current that a one adds and that of a zero, and with read noise "on_variance" and
        "off_variance".
    factors : (S,) float64
        Weights of the slices.
    streams : (int, int)
        Keys of the fresh read noise, and of the slow one, which is not used.
    """

    packed: object
    levels: dict[str, np.ndarray]
    factors: np.ndarray
    streams: tuple[int, int]

    def read(self, engine, x: np.ndarray, first: int) -> np.ndarray:
        """Outputs (B, P, M) of row inputs (B, P, K): all planes, and both phases where there are two."""
        if engine.inputs.phases == 1:
            return self._read_signed(engine, x, first, 0)
        positive, negative = (np.maximum(x if number == 0 else -x, np.float32(0)) for number in range(2))
        return self._read_signed(engine, positive, first, 0) - self._read_signed(engine, negative, first, 1)

    def _read_signed(self, engine, x: np.ndarray, first: int, number: int) -> np.ndarray:
        out = np.empty((*x.shape[:2], self.packed.M))
        clipped, driven = np.zeros((2, self.packed.n_row_tiles), np.int64)
        kernels.binary.mvm(
            self.packed, np.ascontiguousarray(x, np.float32), out, planes=engine.planes // engine.inputs.phases,
            **self.levels, factors=self.factors, constant=engine.tables.constant, **_driver(engine),
            **_converter(engine), seed=engine.seed, stream=self.streams[0], image_offset=first, read_number=number,
            threads=engine.threads, clipped=clipped, driven=driven,
        )  # fmt: skip
        engine.tally.adc_clips += int(clipped.sum())
        engine.tally.drives += int(driven @ engine.arrays)
        return out


def binary_part(
    weights: Weights, layout: Layout, scheme: InputScheme, rows_per_tile: int, streams: tuple[int, int]
) -> BinaryPart | None:
    """The layer for the popcount kernel, or None where the general kernel must read it."""
    slices, outputs = layout.terms.shape
    if not isinstance(scheme, BitSerial) or scheme.bits_per_step > 1 or weights.slow_sigma is not None:
        return None
    if (layout.terms != np.arange(slices * outputs).reshape(slices, outputs)).any():
        return None
    pairs = layout.levels.min() < 0
    ones = np.sign(layout.levels) if pairs else (layout.levels > layout.levels.min()).astype(np.float32)
    levels = _levels(weights, ones, rows_per_tile)
    if levels is None or (pairs and levels["base"].any()):
        return None
    plus, minus = ((ones == sign).astype(np.uint8) for sign in (1, -1))
    packed = kernels.binary.pack(plus, minus if pairs else None, slices, rows_per_tile)
    return BinaryPart(packed, levels, layout.factors, streams)


def _levels(weights: Weights, ones: np.ndarray, rows_per_tile: int) -> dict[str, np.ndarray] | None:
    """Tables of what ones (1, or -1 in pairs) and zeros conduct; None when cells of one level differ."""
    names = ("on", "base") if weights.fresh_variance is None else ("on", "base", "on_variance", "off_variance")
    found = {name: [] for name in names}
    for start in range(0, len(ones), rows_per_tile):
        rows = slice(start, start + rows_per_tile)
        one, zero = ones[rows] != 0, ones[rows] == 0
        alike = [_alike(weights.mean[rows] * ones[rows], one), _alike(weights.mean[rows], zero)]
        if weights.fresh_variance is not None:
            alike += [_alike(weights.fresh_variance[rows], which) for which in (one, zero)]
        if any(values is None for values in alike):
            return None
        for name, values in zip(names, alike, strict=True):
            found[name].append(values)
    tables = {name: np.stack(values) for name, values in found.items()}
    return {"gain": tables["on"] - tables["base"]} | {name: tables[name] for name in names[1:]}


def _alike(values: np.ndarray, where: np.ndarray) -> np.ndarray | None:
    """(C,) float32: the value that all cells of a column have where `where` holds, or None when they differ."""
    least = np.where(where, values, np.float32(np.inf)).min(axis=0)
    if (least < np.where(where, values, np.float32(-np.inf)).max(axis=0)).any():
        return None
    return np.where(where.any(axis=0), least, np.float32(0))


def _driver(engine) -> dict:
    return {} if engine.dac.limit is None else {"dac_scale": engine.dac_scale, "dac_limit": engine.dac.limit}


def _converter(engine) -> dict:
    tables = engine.tables
    if tables.step is None:
        return {"adc_back": tables.back}
    given = {"adc_step": tables.step, "adc_back": tables.back, "adc_limit": engine.adc.limit}
    return given | {"adc_noise": engine.adc.noise, "adc_offset": tables.offset}
