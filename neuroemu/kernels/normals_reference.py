"""NumPy twin of the kernels' normal random numbers: counters and a key enter, float32 standard normals leave.

There is no state: a number is a function of its key (seed, stream) and its counter (what is drawn), so any order, split
or thread count gives the same bits.

References
----------
.. [1] J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, doi:10.1145/2063384.2063405
   (Threefry).
.. [2] G. E. P. Box and M. E. Muller, "A note on the generation of random normal deviates", Ann. Math. Statist. 29
   (1958), doi:10.1214/aoms/1177706645.
"""

import numpy as np

UNIT = 16  # neighbouring columns that share one group of counters
_TURNS = (((10, 26), (11, 21), (13, 27), (23, 5)), ((6, 20), (17, 11), (25, 10), (18, 20)))  # [1], Table 2: 4x32
_PARITY = np.uint32(0x1BD11BDA)
_LOG = (3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1)
_LOG += (-1.2420140846e-1, 1.1676998740e-1, -1.1514610310e-1, 7.0376836292e-2)  # Cephes logf, lowest power first
_SINE = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)  # Cephes sinf
_COSINE = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)  # Cephes cosf


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
