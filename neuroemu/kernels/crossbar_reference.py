"""NumPy twins of the crossbar kernel: inputs and packed weights enter, digital sums and clip counts leave.

`mvm` is the specification of the compiled `mvm`: the same random bits, and results that are the same bits in exact mode
and wherever float32 sums are exact, within one ADC code elsewhere. `mvm_per_device` is the physics that both stand for,
with a normal for every device and every read; it is slow and there to be compared with. Array letters: B images,
P patches (positions of a convolution), K rows, M columns, T row tiles.
"""

from dataclasses import dataclass

import numpy as np

from .normals_reference import UNIT, box_muller, column_normals, normals, threefry

__all__ = ["UNIT", "Product", "box_muller", "column_normals", "mvm", "mvm_per_device", "normals", "threefry"]

GRID = 2.0**20  # exact mode: weights are multiples of 1 / GRID, variances have 20 bits below the largest
DRIVE_GRID = 2.0**8  # drives with errors, and their squares, are multiples of 1 / DRIVE_GRID


@dataclass(frozen=True)
class Product:
    """What one product gives.

    Attributes
    ----------
    out : (B, P, M) float64
        Sum over row tiles of gain times ADC code.
    clipped : (T,) int64
        Conversions outside the range of the ADC, by row tile.
    dac_clipped, driven : int
        Inputs outside the range of the DAC; inputs that are not zero behind it.
    """

    out: np.ndarray
    clipped: np.ndarray
    dac_clipped: int
    driven: int


def mvm(
    mean, fresh_variance, slow_sigma, tile_rows, x, *, column_variance=None, exact=False, dac_scale=0.0, dac_limit=0.0,
    dac_noise=0.0, dac_table=None, adc_step=None, adc_offset=None, adc_limit=0.0, adc_back=None, adc_noise=0.0,
    adc_edges=None, seed=0, stream=0, slow_stream=1, dac_stream=2, image_offset=0, patch_offset=0, read_number=0,
) -> Product:  # fmt: skip
    r"""Crossbar product with one normal per column and read: the twin of the compiled kernel.

    .. math::
        d_r = D_r(\mathrm{clip}(\mathrm{rint}(s\,x_r))) + \delta\,z_{tr}, \qquad
        y_{tm} = \sum_r d_r W_{rm} + \sqrt{\sum_r d_r^2 V_{rm} + (\eta\,\Delta_{tm})^2}\;z_{tm}, \qquad
        o_m = \sum_t g_{tm}\,\mathrm{clip}(\mathrm{rint}(y_{tm} / \Delta_{tm} + c_{tm}))

    with the sums over the rows of tile t. A sum of independent normals is a normal, so this equals a normal per device
    and read (`mvm_per_device`) in distribution. W holds the noise that lasts for one image, W + sigma N for each image.
    The noise of a driver comes before both sums: all columns see it alike, and the variance holds for the drives as
    they are.

    Parameters
    ----------
    mean : (K, M) float32
        W: effective signed weight in code units.
    fresh_variance, slow_sigma : (K, M) float32 or None
        V: variance of the noise drawn at each read. sigma: standard deviation of the noise drawn once for each image.
    tile_rows : int
        Rows that one ADC sums.
    x : (B, P, K) float32
        Inputs less their zero point.
    column_variance : (T, M) float32 or None
        V where it is the same in all rows of a tile, in place of fresh_variance: the variance is V sum_r d_r^2.
    exact : bool
        Sums in float64 that round nothing, so that every machine and order of summation gives the same bits. W is
        rounded to multiples of 2^-20, V to 20 bits below its largest, drives with errors and their squares to
        multiples of 2^-8. Needs  bits of a drive + bits of a weight + 20 + log2(rows) <= 53,  and with a V for each
        row  2 bits of a drive + 20 + log2(rows) <= 53  (8 more in both with errors of drivers).
    dac_scale, dac_limit : float
        s, and the largest magnitude behind the DAC (an integer below 2^22). dac_scale 0: no DAC.
    dac_noise : float
        delta: standard deviation of the noise of a driver, in steps, fresh for each row and read.
    dac_table : (K, 2 dac_limit + 1) float32 or None
        D: what the driver of each row puts out for codes -dac_limit ... dac_limit, in steps.
    adc_step, adc_offset, adc_back : (T, M) float32 or None
        Step (in units of y), offset (in codes), and the gain g of a code. No step: no ADC, the code is y.
    adc_limit, adc_noise : float
        L, the largest magnitude of a code (an integer below 2^22); standard deviation of the converter's noise, codes.
    adc_edges : (T, M, 2 L) float32 or None
        Edges of the codes in steps, ascending, for a converter that is not linear: its code is the number of edges
        <= y / step + offset, less L, in place of rounding.
    seed, stream, slow_stream, dac_stream : int
        Keys, 64 bit each; a fresh read takes (seed, stream), slow noise (seed, slow_stream), drivers the last.
    image_offset, patch_offset, read_number : int
        Number of the first image and patch, so that a part of a batch draws what the whole draws; and of this read.

    Returns
    -------
    Product

    Notes
    -----
    A division by the step is a product with its float32 inverse (float64 where exact). Out of range is
    |code| > limit + 1/2 before rounding.
    Not modelled here: voltage drop in the wires, cells that are not linear in the input, noise shared by columns.
    """
    x = np.asarray(x, np.float32)
    images, patches, inputs = x.shape
    columns = mean.shape[1]
    number = np.float64 if exact else np.float32
    mean, fresh_variance = _on_grids(mean, fresh_variance) if exact else (mean, fresh_variance)
    codes, dac_clipped = _encode(x, dac_scale, dac_limit)
    image = np.arange(image_offset, image_offset + images, dtype=np.uint32)[:, None]
    patch = np.arange(patch_offset, patch_offset + patches, dtype=np.uint32)
    out = np.zeros((images, patches, columns))
    clipped = np.zeros(-(-inputs // tile_rows), np.int64)
    for tile, start in enumerate(range(0, inputs, tile_rows)):
        rows, last = slice(start, start + tile_rows), tile | read_number << 16
        table = None if dac_table is None else dac_table[rows]
        z = None
        if dac_noise > 0:
            z = column_normals(codes[0, 0, rows].size, patch, image, last, seed=seed, stream=dac_stream)
        d, squares = _drive(codes[:, :, rows], table, dac_noise, z, exact)
        weights = mean[rows]
        if slow_sigma is not None:
            row = np.arange(weights.shape[0])
            weights = weights + slow_sigma[rows].astype(number) * column_normals(
                columns, row, image, tile, seed=seed, stream=slow_stream
            )
            weights = np.rint(weights * GRID) / GRID if exact else weights
        y = d @ weights
        variance = None if fresh_variance is None else squares @ fresh_variance[rows]
        if column_variance is not None:
            variance = (d * d).sum(axis=-1, keepdims=True) * column_variance[tile].astype(number)
        if adc_step is not None and adc_noise > 0:
            extra = number(np.float32(adc_noise)) * adc_step[tile].astype(number)
            variance = (0 if variance is None else variance) + extra**2
        if variance is not None:
            y = y + np.sqrt(variance) * column_normals(columns, patch, image, last, seed=seed, stream=stream)
        if adc_step is not None:
            code = y * (number(1) / adc_step[tile].astype(number))
            code = code if adc_offset is None else code + adc_offset[tile]
            y, clipped[tile] = _convert(code, adc_limit)
            if adc_edges is not None:
                y = _look_up(code, adc_edges[tile])
        out += y.astype(np.float64) * (1.0 if adc_back is None else adc_back[tile].astype(np.float64))
    return Product(out, clipped, dac_clipped, np.count_nonzero(codes))


def mvm_per_device(
    mean, fresh_variance, slow_sigma, tile_rows, x, *, rng, dac_scale=0.0, dac_limit=0.0, dac_noise=0.0, dac_table=None,
    adc_step=None, adc_offset=None, adc_limit=0.0, adc_back=None, adc_noise=0.0,
) -> Product:  # fmt: skip
    r"""Crossbar product with a normal for every device pair and every read, in float64: the slow oracle.

    .. math:: y_{tm} = \sum_r d_r (W_{rm} + \sigma_{rm} z^{\mathrm{image}}_{rm} + \sqrt{V_{rm}}\,z^{\mathrm{read}}_{rm})
              + \eta\,\Delta_{tm} z^{\mathrm{ADC}}_{tm}

    Parameters
    ----------
    mean, fresh_variance, slow_sigma, tile_rows, x, dac_scale, ...
        As for `mvm`.
    rng : numpy.random.Generator

    Returns
    -------
    Product
    """
    x = np.asarray(x, np.float32)
    images, patches, inputs = x.shape
    codes, dac_clipped = _encode(x, dac_scale, dac_limit)
    out = np.zeros((images, patches, mean.shape[1]))
    clipped = np.zeros(-(-inputs // tile_rows), np.int64)
    mean = mean.astype(np.float64)
    for b in range(images):
        weights = mean if slow_sigma is None else mean + slow_sigma * rng.standard_normal(mean.shape)
        for p in range(patches):
            device = weights
            if fresh_variance is not None:
                device = weights + np.sqrt(fresh_variance) * rng.standard_normal(mean.shape)
            z = rng.standard_normal(inputs) if dac_noise > 0 else None
            driven, _ = _drive(codes[b, p].astype(np.float64), dac_table, dac_noise, z, False)
            for tile, start in enumerate(range(0, inputs, tile_rows)):
                rows = slice(start, start + tile_rows)
                y = driven[rows] @ device[rows]
                if adc_step is not None:
                    code = y / adc_step[tile] + adc_noise * rng.standard_normal(mean.shape[1])
                    y, over = _convert(code if adc_offset is None else code + adc_offset[tile], adc_limit)
                    clipped[tile] += over
                out[b, p] += y if adc_back is None else y * adc_back[tile]
    return Product(out, clipped, dac_clipped, np.count_nonzero(codes))


def _encode(x, scale, limit):
    """Drive codes of inputs, and how many were out of range."""
    return _convert(x * np.float32(scale), limit) if scale > 0 else (x, 0)


def _drive(codes, table, noise, z, exact):
    """Drives (..., rows) of codes, and their squares."""
    d = codes
    if table is not None:
        d = table[np.arange(len(table)), (codes + table.shape[1] // 2).astype(np.intp)]
    d = d.astype(np.float64) if exact else d
    if z is not None:
        d = d + np.float32(noise) * z
    if not exact or (table is None and z is None):
        return d, d * d
    d = np.rint(d * DRIVE_GRID) / DRIVE_GRID
    return d, np.rint(d * d * DRIVE_GRID) / DRIVE_GRID


def _on_grids(mean, variance):
    """Weights and variances of exact sums, float64."""
    mean = np.rint(mean.astype(np.float64) * GRID) / GRID
    if variance is None or not variance.any():
        return mean, variance
    unit = 2.0 ** (np.frexp(float(variance.max()))[1] - 20)
    return mean, np.rint(variance.astype(np.float64) / unit) * unit


def _convert(codes, limit):
    """Codes rounded half to even within +-limit, and how many were outside."""
    clipped = np.count_nonzero(np.abs(codes) > codes.dtype.type(limit + 0.5))
    return np.rint(np.clip(codes, codes.dtype.type(-limit), codes.dtype.type(limit))), clipped


def _look_up(codes, edges):
    """Numbers of edges (M, 2 L) that are <= codes (B, P, M), less L."""
    found = [np.searchsorted(row, codes[..., m], side="right") for m, row in enumerate(edges)]
    return (np.stack(found, axis=-1) - edges.shape[1] // 2).astype(codes.dtype)
