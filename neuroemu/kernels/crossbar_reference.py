"""NumPy twins of the crossbar kernel: inputs and packed weights enter, digital sums and clip counts leave.

`mvm` is the specification of the compiled `mvm`: the same random bits, equal results wherever float32 sums are exact,
within one ADC code elsewhere. `mvm_per_device` is the physics that both stand for, with a normal for every device and
every read; it is slow and there to be compared with. Array letters: B images, P patches (positions of a convolution),
K rows, M columns, T row tiles.

References
----------
.. [1] J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, doi:10.1145/2063384.2063405
   (Threefry).
.. [2] G. E. P. Box and M. E. Muller, "A note on the generation of random normal deviates", Ann. Math. Statist. 29
   (1958), doi:10.1214/aoms/1177706645.
"""

from dataclasses import dataclass

import numpy as np

UNIT = 16  # neighbouring columns that share one group of counters
_TURNS = (((10, 26), (11, 21), (13, 27), (23, 5)), ((6, 20), (17, 11), (25, 10), (18, 20)))  # [1], Table 2: 4x32
_PARITY = np.uint32(0x1BD11BDA)
_LOG = (3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1)
_LOG += (-1.2420140846e-1, 1.1676998740e-1, -1.1514610310e-1, 7.0376836292e-2)  # Cephes logf, lowest power first
_SINE = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)  # Cephes sinf
_COSINE = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)  # Cephes cosf


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


def threefry(counters, *, seed: int, stream: int) -> np.ndarray:
    """Threefry4x32-20: 128 random bits for each counter.

    Parameters
    ----------
    counters : (..., 4) uint32
    seed, stream : int
        The key, 64 bit each, low word first.

    Returns
    -------
    (..., 4) uint32
    """
    key = [seed & 0xFFFFFFFF, seed >> 32, stream & 0xFFFFFFFF, stream >> 32]
    key = [np.uint32(word) for word in key]
    key.append(_PARITY ^ key[0] ^ key[1] ^ key[2] ^ key[3])
    x = [np.array(counters[..., i], np.uint32) for i in range(4)]
    with np.errstate(over="ignore"):
        for group in range(6):
            for i in range(4):
                x[i] = x[i] + key[(group + i) % 5]
            x[3] = x[3] + np.uint32(group)
            for round_, (one, two) in enumerate(_TURNS[group % 2] if group < 5 else ()):
                b, d = (1, 3) if round_ % 2 == 0 else (3, 1)
                _mix(x, 0, b, one)
                _mix(x, 2, d, two)
    return np.stack(x, axis=-1)


def box_muller(radius_words, angle_words) -> tuple[np.ndarray, np.ndarray]:
    """Two standard normals from two random words, r cos(a) and r sin(a), in float32 [2]_.

    r = sqrt(-2 ln u) with u in 2^-32..1, so no value is beyond 6.7. The top three bits of the angle's word mirror an
    angle of the first eighth of the circle into one of the eight.
    """
    u = (radius_words >> np.uint32(1)).astype(np.float32) * np.float32(2**-31) + np.float32(2**-32)
    radius = np.sqrt(_minus_two_log(u))
    angle = (angle_words & np.uint32(0x1FFFFFFF)).astype(np.float32) * np.float32(np.pi / 4 / 2**29)
    square = angle * angle
    x = radius * ((_polynomial(_COSINE, square) * (square * square) - np.float32(0.5) * square) + np.float32(1))
    y = radius * (_polynomial(_SINE, square) * square * angle + angle)
    swap = (angle_words >> np.uint32(29)) & np.uint32(1) == 1
    x, y = np.where(swap, y, x), np.where(swap, x, y)
    return (
        np.where(angle_words >> np.uint32(31) == 1, -x, x),
        np.where((angle_words >> np.uint32(30)) & np.uint32(1) == 1, -y, y),
    )


def column_normals(columns: int, second, third, last: int, *, seed: int, stream: int) -> np.ndarray:
    """Standard normals (..., columns); column m of the draw (second, third, last) is always the same number."""
    units = -(-columns // UNIT)
    group = np.arange(4 * units, dtype=np.uint32)
    second, third = np.broadcast_arrays(np.asarray(second, np.uint32), np.asarray(third, np.uint32))
    counters = np.empty((*second.shape, group.size, 4), np.uint32)
    counters[..., 0] = group
    counters[..., 1] = second[..., None]
    counters[..., 2] = third[..., None]
    counters[..., 3] = last
    return _unit_normals(threefry(counters, seed=seed, stream=stream))[..., :columns]


def normals(n: int, *, seed: int, stream: int, offset: int = 0) -> np.ndarray:
    """Normals number offset ... offset + n - 1 of the sequence (seed, stream), float32."""
    first = offset // UNIT
    unit = np.arange(first, (offset + n + UNIT - 1) // UNIT + 1, dtype=np.uint64)[:, None]
    counters = np.zeros((unit.size, 4, 4), np.uint32)
    counters[..., 0] = (unit & np.uint64(0x3FFFFFFF)) * np.uint64(4) + np.arange(4, dtype=np.uint64)
    counters[..., 1] = (unit >> np.uint64(30)) & np.uint64(0xFFFFFFFF)
    counters[..., 2] = unit >> np.uint64(62)
    return _unit_normals(threefry(counters, seed=seed, stream=stream)).ravel()[offset - first * UNIT :][:n]


def mvm(
    mean, fresh_variance, slow_sigma, tile_rows, x, *, column_variance=None, dac_scale=0.0, dac_limit=0.0,
    adc_step=None, adc_offset=None, adc_limit=0.0, adc_back=None, adc_noise=0.0, adc_edges=None, seed=0, stream=0,
    slow_stream=1, image_offset=0, patch_offset=0, read_number=0,
) -> Product:  # fmt: skip
    r"""Crossbar product with one normal per column and read: the twin of the compiled kernel.

    .. math::
        d = \mathrm{clip}(\mathrm{rint}(s\,x)), \qquad
        y_{tm} = \sum_r d_r W_{rm} + \sqrt{\sum_r d_r^2 V_{rm} + (\eta\,\Delta_{tm})^2}\;z, \qquad
        o_m = \sum_t g_{tm}\,\mathrm{clip}(\mathrm{rint}(y_{tm} / \Delta_{tm} + c_{tm}))

    with the sums over the rows of tile t. A sum of independent normals is a normal, so this equals a normal per device
    and read (`mvm_per_device`) in distribution. W holds the noise that lasts for one image, W + sigma N for each image.

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
    dac_scale, dac_limit : float
        s, and the largest magnitude behind the DAC (an integer below 2^22). dac_scale 0: no DAC.
    adc_step, adc_offset, adc_back : (T, M) float32 or None
        Step (in units of y), offset (in codes), and the gain g of a code. No step: no ADC, the code is y.
    adc_limit, adc_noise : float
        L, the largest magnitude of a code (an integer below 2^22); standard deviation of the converter's noise, codes.
    adc_edges : (T, M, 2 L) float32 or None
        Edges of the codes in steps, ascending, for a converter that is not linear: its code is the number of edges
        <= y / step + offset, less L, in place of rounding.
    seed, stream, slow_stream : int
        Keys, 64 bit each; a fresh read takes (seed, stream), slow noise (seed, slow_stream).
    image_offset, patch_offset, read_number : int
        Number of the first image and patch, so that a part of a batch draws what the whole draws; and of this read.

    Returns
    -------
    Product

    Notes
    -----
    A division by the step is a product with its float32 inverse. Out of range is |code| > limit + 1/2 before rounding.
    Not modelled here: voltage drop in the wires, cells that are not linear in the input, noise shared by columns.
    """
    x = np.asarray(x, np.float32)
    images, patches, inputs = x.shape
    columns = mean.shape[1]
    driven, dac_clipped = _drive(x, dac_scale, dac_limit)
    image = np.arange(image_offset, image_offset + images, dtype=np.uint32)
    patch = np.arange(patch_offset, patch_offset + patches, dtype=np.uint32)
    out = np.zeros((images, patches, columns))
    clipped = np.zeros(-(-inputs // tile_rows), np.int64)
    for tile, start in enumerate(range(0, inputs, tile_rows)):
        rows = slice(start, start + tile_rows)
        d, weights = driven[:, :, rows], mean[rows]
        if slow_sigma is not None:
            row = np.arange(weights.shape[0])
            z = column_normals(columns, row, image[:, None], tile, seed=seed, stream=slow_stream)
            weights = weights + slow_sigma[rows] * z
        y = d @ weights
        variance = None if fresh_variance is None else (d * d) @ fresh_variance[rows]
        if column_variance is not None:
            variance = (d * d).sum(axis=-1, keepdims=True) * column_variance[tile]
        if adc_step is not None and adc_noise > 0:
            variance = (0 if variance is None else variance) + (np.float32(adc_noise) * adc_step[tile]) ** 2
        if variance is not None:
            last = tile | read_number << 16
            y = y + np.sqrt(variance) * column_normals(columns, patch, image[:, None], last, seed=seed, stream=stream)
        if adc_step is not None:
            code = y * (np.float32(1) / adc_step[tile])
            code = code if adc_offset is None else code + adc_offset[tile]
            y, clipped[tile] = _convert(code, adc_limit)
            if adc_edges is not None:
                y = _look_up(code, adc_edges[tile])
        out += y.astype(np.float64) * (1.0 if adc_back is None else adc_back[tile].astype(np.float64))
    return Product(out, clipped, dac_clipped, np.count_nonzero(driven))


def mvm_per_device(
    mean, fresh_variance, slow_sigma, tile_rows, x, *, rng, dac_scale=0.0, dac_limit=0.0, adc_step=None,
    adc_offset=None, adc_limit=0.0, adc_back=None, adc_noise=0.0,
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
    driven, dac_clipped = _drive(x, dac_scale, dac_limit)
    out = np.zeros((images, patches, mean.shape[1]))
    clipped = np.zeros(-(-inputs // tile_rows), np.int64)
    mean = mean.astype(np.float64)
    for b in range(images):
        weights = mean if slow_sigma is None else mean + slow_sigma * rng.standard_normal(mean.shape)
        for p in range(patches):
            device = weights
            if fresh_variance is not None:
                device = weights + np.sqrt(fresh_variance) * rng.standard_normal(mean.shape)
            for tile, start in enumerate(range(0, inputs, tile_rows)):
                rows = slice(start, start + tile_rows)
                y = driven[b, p, rows] @ device[rows]
                if adc_step is not None:
                    code = y / adc_step[tile] + adc_noise * rng.standard_normal(mean.shape[1])
                    y, over = _convert(code if adc_offset is None else code + adc_offset[tile], adc_limit)
                    clipped[tile] += over
                out[b, p] += y if adc_back is None else y * adc_back[tile]
    return Product(out, clipped, dac_clipped, np.count_nonzero(driven))


def _drive(x, scale, limit):
    if not scale > 0:
        return x, 0
    codes, clipped = _convert(x * np.float32(scale), limit)
    return codes, clipped


def _convert(codes, limit):
    """Codes rounded half to even within +-limit, and how many were outside."""
    clipped = np.count_nonzero(np.abs(codes) > codes.dtype.type(limit + 0.5))
    return np.rint(np.clip(codes, codes.dtype.type(-limit), codes.dtype.type(limit))), clipped


def _look_up(codes, edges):
    """Numbers of edges (M, 2 L) that are <= codes (B, P, M), less L."""
    found = [np.searchsorted(row, codes[..., m], side="right") for m, row in enumerate(edges)]
    return (np.stack(found, axis=-1) - edges.shape[1] // 2).astype(codes.dtype)


def _mix(x, i, j, turn):
    x[i] = x[i] + x[j]
    x[j] = ((x[j] << np.uint32(turn)) | (x[j] >> np.uint32(32 - turn))) ^ x[i]


def _polynomial(coefficients, x):
    value = np.float32(coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + np.float32(coefficient)
    return value


def _minus_two_log(u):
    """-2 ln(u) of float32 u in 2^-32..1, by exponent and a mantissa between sqrt(1/2) and sqrt(2)."""
    root = np.uint32(0x3F3504F3)
    shifted = u.view(np.uint32) - root
    exponent = (shifted.view(np.int32) >> 23).astype(np.float32)
    f = ((shifted & np.uint32(0x7FFFFF)) + root).view(np.float32) - np.float32(1)
    square = f * f
    c = [np.float32(value) for value in _LOG]
    low = (c[0] + c[1] * f) + (c[2] + c[3] * f) * square
    high = (c[4] + c[5] * f) + (c[6] + c[7] * f) * square
    p = low + (high + c[8] * (square * square)) * (square * square)
    p = (p * f - np.float32(0.5)) * square
    return np.float32(-2) * (exponent * np.float32(0.693147180559945) + (p + f))


def _unit_normals(words):
    """(..., 4 counters a unit, 4 words) -> (..., 16 columns a unit): word w of counter i is column 4 w + i."""
    pairs = box_muller(words[..., 0], words[..., 1]) + box_muller(words[..., 2], words[..., 3])
    z = np.stack(pairs, axis=-1)
    *lead, counters, _ = z.shape
    return z.reshape(*lead, counters // 4, 4, 4).swapaxes(-1, -2).reshape(*lead, counters * 4)
