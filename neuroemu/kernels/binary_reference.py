"""NumPy twin of the popcount kernel: inputs and cells of two levels enter, digital sums and counts leave.

`mvm` is the specification of the compiled `kernels.binary.mvm`: the same random bits and the same float32 operations.
It says in one call what the general kernel says in a call for each plane, when all cells of a column that hold the same
level are alike. Array letters: B images, P patches, K rows, M outputs, S slices, C = S * M columns, T row tiles.
"""

from dataclasses import dataclass

import numpy as np

from .crossbar_reference import UNIT, column_normals


@dataclass(frozen=True)
class BinaryProduct:
    """What one product gives.

    Attributes
    ----------
    out : (B, P, M) float64
        Sum over planes, slices and row tiles of weight times ADC code.
    clipped, driven : (T,) int64
        Conversions outside the range of the ADC, and bits that drove a row, by row tile.
    dac_clipped : int
        Inputs outside the range of the DAC.
    """

    out: np.ndarray
    clipped: np.ndarray
    driven: np.ndarray
    dac_clipped: int


def mvm(
    plus, minus, slices, tile_rows, x, *, planes, gain, factors, base=None, on_variance=None, off_variance=None,
    constant=None, dac_scale=0.0, dac_limit=0.0, adc_step=None, adc_offset=None, adc_limit=0.0, adc_back=None,
    adc_noise=0.0, seed=0, stream=0, image_offset=0, patch_offset=0, read_number=0,
) -> BinaryProduct:  # fmt: skip
    r"""Product of bit-serial inputs with cells of two levels, from counts of driven ones.

    .. math::
        y_{ptc} = s\,u_{tc} + s_x b_{tc} + \sqrt{n\,V^1_{tc} + (n_x - n)\,V^0_{tc} + (\eta\,\Delta_{tc})^2}\;z, \qquad
        o_m = \sum_s f_s \left(k_c + \sum_p 2^p \sum_t g_{tc}\,\mathrm{ADC}_{tc}(y_{ptc})\right), \quad c = s M + m

    In plane p and row tile t, n_x rows are driven, with s_x their sum of signs; of these, n cells of column c hold a
    one, with s the sum of signs of drive and cell. A cell that holds a one has mean b + u and variance V1 (mean -u in
    `minus`), others have mean b and variance V0. The drive steps are those of `crossbar_reference.mvm`, and so is the
    ADC.

    Parameters
    ----------
    plus, minus : (K, C) uint8, minus may be None
        Not zero where a cell holds a one that counts positively, or negatively.
    slices, tile_rows : int
        S, and the rows that one ADC sums.
    x : (B, P, K) float32
        Inputs less their zero point: whole numbers behind the DAC.
    planes : int
        Bits of a drive step that are read, lowest first; higher bits are left out.
    gain, base, on_variance, off_variance : (T, C) float32
        u, b (None: 0), V1 and V0 (None: no read noise).
    factors : (S,) float64, and constant : (C,) float64 or None
        f and k.
    dac_scale, dac_limit, adc_step, adc_offset, adc_limit, adc_back, adc_noise, seed, stream, image_offset, ...
        As for `crossbar_reference.mvm`, tables of shape (T, C).

    Returns
    -------
    BinaryProduct

    Notes
    -----
    Equal to the general kernel in distribution; exactly equal without noise where sums of levels are exact in float32.
    The normals of sixteen outputs of a slice, row tile and plane are named by the first output and by the number of
    that slice, row tile and plane, so they depend on neither the columns beside them nor the batch.
    """
    x = np.asarray(x, np.float32)
    driven, dac_clipped = _drive(x, dac_scale, dac_limit)
    tiles = [slice(start, start + tile_rows) for start in range(0, x.shape[2], tile_rows)]
    columns = plus.shape[1]
    sign = np.sign(driven).astype(np.int64)
    magnitude = np.abs(driven).astype(np.int64)
    plus = (plus != 0).astype(np.int64)
    minus = np.zeros_like(plus) if minus is None else (minus != 0).astype(np.int64)
    noisy = on_variance is not None or (adc_step is not None and adc_noise > 0)
    clipped, driving = np.zeros((2, len(tiles)), np.int64)
    sums = np.zeros((*x.shape[:2], columns))
    for plane in range(planes):
        bits = sign * (magnitude >> plane & 1)
        for tile, rows in enumerate(tiles):
            signed, live = bits[..., rows], np.abs(bits[..., rows])
            driving[tile] += np.count_nonzero(live)
            sum_, count = signed @ (plus - minus)[rows], live @ (plus + minus)[rows]
            code = sum_.astype(np.float32) * gain[tile]
            if base is not None:
                code = code + signed.sum(axis=-1, dtype=np.float32)[..., None] * base[tile]
            if noisy:
                variance = np.zeros(code.shape, np.float32)
                if on_variance is not None:
                    off = live.sum(axis=-1, keepdims=True) - count
                    variance = count.astype(np.float32) * on_variance[tile]
                    variance = variance + off.astype(np.float32) * off_variance[tile]
                if adc_step is not None:
                    variance = variance + (np.float32(adc_noise) * adc_step[tile]) ** 2
                place = {"image_offset": image_offset, "patch_offset": patch_offset, "read_number": read_number}
                z = _normals(code.shape, slices, (plane, tile, planes, len(tiles)), seed=seed, stream=stream, **place)
                code = code + np.sqrt(variance) * z
            if adc_step is not None:
                code = code * (np.float32(1) / adc_step[tile])
                code, over = _convert(code if adc_offset is None else code + adc_offset[tile], adc_limit)
                clipped[tile] += over
            back = 1.0 if adc_back is None else adc_back[tile].astype(np.float64)
            sums += code.astype(np.float64) * back * 2.0**plane
    pieces = (sums if constant is None else sums + constant).reshape(*x.shape[:2], slices, -1)
    out = pieces[:, :, 0] * factors[0]
    for piece in range(1, slices):
        out = out + pieces[:, :, piece] * factors[piece]
    return BinaryProduct(out, clipped, driving, dac_clipped)


def _normals(shape, slices, of, *, seed, stream, image_offset, patch_offset, read_number):
    """(B, P, C) normals of one plane and row tile; unit u of panel n is column group n * units + u."""
    plane, tile, planes, tiles = of
    images, patches, columns = shape
    outputs = columns // slices
    units, panels = planes * slices * tiles, -(-outputs // UNIT)
    image = np.arange(image_offset, image_offset + images, dtype=np.uint32)[:, None]
    patch = np.arange(patch_offset, patch_offset + patches, dtype=np.uint32)
    names = {"seed": seed, "stream": stream}
    z = column_normals(panels * units * UNIT, patch, image, read_number, **names)
    z = z.reshape(images, patches, panels, planes, slices, tiles, UNIT)[:, :, :, plane, :, tile]
    return z.transpose(0, 1, 3, 2, 4).reshape(images, patches, slices, panels * UNIT)[..., :outputs].reshape(shape)


def _drive(x, scale, limit):
    return _convert(x * np.float32(scale), limit) if scale > 0 else (x, 0)


def _convert(codes, limit):
    """Codes rounded half to even within +-limit, and how many were outside."""
    clipped = np.count_nonzero(np.abs(codes) > np.float32(limit + 0.5))
    return np.rint(np.clip(codes, np.float32(-limit), np.float32(limit))), clipped
