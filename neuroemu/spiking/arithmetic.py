"""Integer semantics of spiking cores: conventions, weight encoding, decay.

In: weight mantissas and registers as a user writes them. Out: the integers that a core adds, and the limits that the
kernels take. The chip is described in Davies et al. 2018 (doi:10.1109/MM.2018.112130359); where the public emulators
read it in different ways, a `Convention` says which reading is meant.
"""

from dataclasses import dataclass

import numpy as np

from .._checks import choice, finite_array, integer
from ..errors import ArgumentTypeError, InputError
from ..kernels import events_reference

WEIGHT_LIMIT = 2**21 - 64  # |actual weight|; the lower 6 bits are always zero (brian2-loihi 0.5.2, loihi_synapses)
KERNEL_BITS = 29  # what a convention without a limit gets: three such numbers still add up within int32
WEIGHT_RANGES = {"mixed": (-256, 254), "excitatory": (0, 255), "inhibitory": (-256, 0)}


@dataclass(frozen=True)
class Convention:
    """One reading of a core's integer arithmetic.

    Parameters
    ----------
    name : str
        Name in messages and results.
    accumulator_bits : int or None
        Bits beside the sign at which the synaptic accumulator q wraps; None: q has no limit.
    current_bits : int or None
        The same of the current u.
    voltage_limit : int or None
        v saturates at plus and minus this value; None: v has no limit.
    rounding : {"toward_zero", "floor", "nearest_even"}
        How a mantissa loses the bits that its precision does not have; inhibitory ones never by "floor", since the
        sign is not stored. "nearest_even" also limits mantissas to
        +-(2^(8 - lost) - 1) 2^lost, and rounds again where a negative exponent takes more bits.
    current_decay_offset, voltage_decay_offset : int
        Added to the registers du and dv before use.
    weight_bits : tuple of int
        Weight precisions that exist.
    exponents : (int, int)
        Lowest and highest weight exponent.
    shifts_sums : bool
        A negative exponent shifts the sum of the weights whose spikes left in one step and arrive in one step, toward
        minus infinity, and not each weight. Such synapses run in programs only.

    Notes
    -----
    A missing limit is still 29 bits in the kernels. Reaching it is counted as a wrap or clip, and the callers raise.
    """

    name: str
    accumulator_bits: int | None = 21
    current_bits: int | None = 23
    voltage_limit: int | None = 2**23 - 1
    rounding: str = "toward_zero"
    current_decay_offset: int = 1
    voltage_decay_offset: int = 0
    weight_bits: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8)
    exponents: tuple[int, int] = (-8, 7)
    shifts_sums: bool = False

    def __post_init__(self):
        who = f"Convention {self.name!r}"
        choice(self.rounding, ("toward_zero", "floor", "nearest_even"), who=who, name="rounding")
        for field in ("accumulator_bits", "current_bits"):
            if getattr(self, field) is not None:
                integer(getattr(self, field), who=who, name=field, low=15, high=KERNEL_BITS)
        if self.voltage_limit is not None:
            integer(self.voltage_limit, who=who, name="voltage_limit", low=1, high=2**KERNEL_BITS - 1)
        for field in ("current_decay_offset", "voltage_decay_offset"):
            integer(getattr(self, field), who=who, name=field, low=0, high=1)

    @property
    def limits(self) -> dict[str, int]:
        """The keyword arguments q_bits, u_bits and v_limit of the events kernels."""
        return {
            "q_bits": KERNEL_BITS if self.accumulator_bits is None else self.accumulator_bits,
            "u_bits": KERNEL_BITS if self.current_bits is None else self.current_bits,
            "v_limit": 2**KERNEL_BITS - 1 if self.voltage_limit is None else self.voltage_limit,
        }

    def check_overflow(self, q_wraps: int, u_wraps: int, v_clips: int, *, who: str) -> None:
        """Raise InputError if a number outgrew the kernels although this convention sets it no limit."""
        for name, limit, events in (
            ("q", self.accumulator_bits, q_wraps),
            ("u", self.current_bits, u_wraps),
            ("v", self.voltage_limit, v_clips),
        ):
            if limit is None and events:
                raise InputError(
                    f"{who}: {name} went beyond {KERNEL_BITS} bits {events} times and convention {self.name!r} has no"
                    " limit there; scale weights and bias down, or use LOIHI1"
                )


# Davies 2018 gives the weight and delay widths. q: 21 bits and sign, u: 23 bits and sign, both wrap (nengo-loihi 1.1,
# emulator/interface.py); v saturates at +-(2^23 - 1) (lava 0.10, proc/lif/models.py; nengo-loihi issue 130 could not
# provoke a wrap on the chip); weights toward zero as brian2-loihi checked against the chip
# (doi:10.3389/fninf.2022.1015624). A precision of 7 bits does not exist (nengo-loihi, block.py).
LOIHI1 = Convention("LOIHI1")

# brian2-loihi 0.5.2: the same arithmetic in unlimited numbers; its decay_I is the effective one, without an offset.
BRIAN2LOIHI = Convention(
    "BRIAN2LOIHI",
    accumulator_bits=None,
    current_bits=None,
    voltage_limit=None,
    current_decay_offset=0,
    weight_bits=tuple(range(9)),
)

# Loihi 2 as lava 0.10 has it, whose arithmetic shift of mantissas came as "bit accuracy on Loihi 2" (lava #328); that
# the chip itself rounds so is inferred.
LOIHI2 = Convention("LOIHI2", rounding="floor")

# lava 0.10, fixed-point Dense, DelayDense and LIF: no limit on q.
LAVA = Convention("LAVA", accumulator_bits=None, rounding="floor", weight_bits=tuple(range(1, 9)), shifts_sums=True)

# nengo-loihi 1.1.0, builder/discretize.py and emulator/interface.py. It has no delays; its refractory period is that of
# LOIHI1; u + bias wraps there at 23 bits before it is added to v, which is left out here.
NENGO = Convention("NENGO", rounding="nearest_even", exponents=(-7, 7))


def decay(x, d):
    """State after one step of decay, rounded toward zero.

    ``sign(x) * ((|x| * (4096 - d)) >> 12)``, which is ``x - sign(x) * ceil(|x| * d / 4096)``.

    Parameters
    ----------
    x : array_like of int
        State u or v.
    d : array_like of int
        Decay in 1/4096 a step, 0 .. 4096, offset included; broadcasts with x.

    Returns
    -------
    int64 ndarray

    Raises
    ------
    InputError
        If d is out of range.
    """
    d = whole_array(d, who="decay", name="d", low=0, high=4096)
    return events_reference.decay(whole_array(x, who="decay", name="x", low=-(2**50), high=2**50), d)


def encode_weights(mantissa, *, exponent=0, bits=8, sign_mode="mixed", convention=LOIHI1):
    """Actual weights that a core adds, from weight mantissas.

    With ``lost = 8 - (bits - 1)`` for mixed signs, else ``8 - bits``::

        w = round(mantissa / 2^lost) * 2^lost               toward zero or down, see convention
        w_act = floor(w * 2^(6 + exponent) / 64) * 64       within +-(2^21 - 64)

    Parameters
    ----------
    mantissa : array_like of int
        mixed: -256 .. 254; excitatory: 0 .. 255; inhibitory: -256 .. 0.
    exponent : int
        -8 .. 7; a convention may allow fewer.
    bits : int
        Weight precision; LOIHI1 has 1 .. 6 and 8. Mixed signs spend one bit on the sign.
    sign_mode : {"mixed", "excitatory", "inhibitory"}
    convention : Convention

    Returns
    -------
    int32 ndarray
        Of the shape of `mantissa`, multiples of 64.

    Raises
    ------
    InputError
        If a value is out of range.

    References
    ----------
    Michaelis et al. 2022, doi:10.3389/fninf.2022.1015624 (brian2-loihi); Davies et al. 2018,
    doi:10.1109/MM.2018.112130359, Table 1.
    """
    who = "encode_weights"
    low, high = WEIGHT_RANGES[choice(sign_mode, tuple(WEIGHT_RANGES), who=who, name="sign_mode")]
    w = whole_array(mantissa, who=who, name=f"mantissa in sign mode {sign_mode!r}", low=low, high=high)
    exponent = integer(exponent, who=who, name="exponent", low=convention.exponents[0], high=convention.exponents[1])
    if convention.shifts_sums and exponent < 0:
        raise InputError(
            f"{who}: exponent is {exponent}; convention {convention.name!r} shifts sums by it, not weights: use 0 or"
            " more, or a LoihiProgram"
        )
    bits = choice(integer(bits, who=who, name="bits"), convention.weight_bits, who=who, name="bits")
    lost = 8 - (bits - (sign_mode == "mixed"))
    if convention.rounding == "nearest_even":
        return _nearest(w, lost, exponent)
    if convention.rounding == "floor" and sign_mode != "inhibitory":  # there it is the size that loses bits
        w = (w >> lost) << lost
    else:
        w = np.sign(w) * ((np.abs(w) >> lost) << lost)
    scaled = w << exponent if exponent >= 0 else w >> -exponent
    return np.clip(scaled << 6, -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int32)


def _nearest(mantissa, lost: int, exponent: int) -> np.ndarray:
    """Actual weights of a convention that rounds to nearest; both roundings limit what they give."""
    most = 2 ** (8 - lost) - 1
    w = np.clip(np.rint(mantissa / 2.0**lost), -most, most)
    if lost + exponent < 0:
        fewer = 2.0 ** (lost + exponent)
        w = np.clip(np.rint(w * fewer) / fewer, -most, most)
    scaled = np.floor(np.trunc(w) * 2.0 ** (lost + exponent))
    return np.clip(scaled.astype(np.int64) << 6, -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int32)


def pack_weights(w_act):
    """Actual weights as int16 and a common power of two, as the events kernels take them.

    Returns
    -------
    weights : int16 ndarray
        Of the shape of `w_act`, with ``w_act == weights * 2^shift`` and -32767 .. 32767.
    shift : int
        0 .. 20, as large as possible: small int16 numbers make the kernel fast.

    Raises
    ------
    InputError
        If the weights span more than 16 bits.
    """
    w = whole_array(w_act, who="pack_weights", name="w_act", low=-(2**31), high=2**31 - 1)
    used = int(np.bitwise_or.reduce(np.abs(w), axis=None)) if w.size else 0
    shift = min((used & -used).bit_length() - 1, 20) if used else 0
    weights = w >> shift
    if w.size and np.abs(weights).max() > 32767:
        raise InputError(
            f"pack_weights: weights up to {np.abs(w).max()} in steps of {2**shift} need more than 16 bits; use"
            " multiples of 64 up to 2^21 - 64, as encode_weights gives them"
        )
    return weights.astype(np.int16), shift


def whole_array(value, *, who, name, low, high):
    """`value` as int64, each entry within [low, high]."""
    array = finite_array(value, who=who, name=name, dtype=None)
    if array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"{who}: {name} must hold integers, got dtype {array.dtype}")
    if array.size and (array.min() < low or array.max() > high):
        bad = array.flat[np.flatnonzero((array.ravel() < low) | (array.ravel() > high))[0]]
        raise InputError(f"{who}: {name} has {bad}; allowed: {low} to {high}")
    return array.astype(np.int64).reshape(np.shape(value))
