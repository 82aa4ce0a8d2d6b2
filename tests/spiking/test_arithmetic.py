"""Weight encoding and decay against recorded tables, closed forms and their own limits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.spiking.arithmetic import BRIAN2LOIHI, LOIHI1, Convention, decay, encode_weights, pack_weights

GOLDEN = Path(__file__).parents[1] / "golden"
FLOOR = replace(LOIHI1, name="floor", rounding="floor")
MIXED = np.arange(-256, 255)


@pytest.mark.parametrize(
    ("number", "sign_mode", "low", "high"),
    [(0, "mixed", -256, 254), (1, "excitatory", 0, 255), (2, "inhibitory", -256, 0)],
)
def test_all_weights_equal_those_of_brian2_loihi(number, sign_mode, low, high):
    table = np.load(GOLDEN / "brian2loihi_weights.npz")["units_of_64"][number]
    mantissa = np.arange(low, high + 1)
    for bits in range(9):
        for exponent in range(-8, 8):
            w = encode_weights(mantissa, exponent=exponent, bits=bits, sign_mode=sign_mode, convention=BRIAN2LOIHI)
            np.testing.assert_array_equal(w, 64 * table[bits, exponent + 8, mantissa + 256].astype(np.int32))
            if bits in LOIHI1.weight_bits:
                chip = encode_weights(mantissa, exponent=exponent, bits=bits, sign_mode=sign_mode)
                np.testing.assert_array_equal(w, chip)


def test_rounding_down_differs_as_measured_in_lava():
    """lava 0.10 against brian2-loihi 0.5.2, mixed signs: 128 mantissas differ at 8 bits, 248 at 4, by up to 2,048."""
    for bits, differing, largest in ((8, 128, 128), (4, 248, 2048)):
        difference = encode_weights(MIXED, bits=bits) - encode_weights(MIXED, bits=bits, convention=FLOOR)
        assert ((difference != 0).sum(), difference.max(), difference.min()) == (differing, largest, 0)
    assert encode_weights(-255) == -16256
    assert encode_weights(-255, convention=FLOOR) == -16384


def test_weights_keep_shape_and_dtype_and_saturate():
    w = encode_weights([[254, -256]], exponent=7)
    assert (w.dtype, w.shape, w.tolist()) == (np.int32, (1, 2), [[254 * 2**13, -(2**21) + 64]])
    assert encode_weights(np.int8(-3)).shape == ()
    assert encode_weights(np.zeros((0, 4), int)).shape == (0, 4)


@pytest.mark.parametrize(
    ("mantissa", "more", "message"),
    [
        (255, {}, "mantissa in sign mode 'mixed' has 255; allowed: -256 to 254"),
        ([3, -257], {}, "has -257"),
        (-1, {"sign_mode": "excitatory"}, "has -1; allowed: 0 to 255"),
        (1, {"sign_mode": "inhibitory"}, "has 1; allowed: -256 to 0"),
        (1, {"exponent": 8}, "exponent is 8; allowed: -8 to 7"),
        (1, {"bits": 7}, "bits is 7; choose from 1, 2, 3, 4, 5, 6, 8"),
        (1, {"sign_mode": "both"}, "sign_mode"),
    ],
)
def test_weights_out_of_range(mantissa, more, message):
    with pytest.raises(InputError, match=message):
        encode_weights(mantissa, **more)


def test_weights_of_wrong_type():
    with pytest.raises(ArgumentTypeError, match="float64"):
        encode_weights([1.0])
    with pytest.raises(ArgumentTypeError, match="bits"):
        encode_weights([1], bits=8.0)


@given(st.integers(-(2**29), 2**29), st.integers(0, 4096))
def test_decay_is_toward_zero_of_the_exact_product(x, d):
    size = abs(x) - -(-abs(x) * d // 4096)  # |x| less the ceiling of |x| d / 4096
    assert decay(x, d) == (size if x >= 0 else -size)


def test_decay_ends_and_errors():
    assert decay([5, -5], 0).tolist() == [5, -5]
    assert decay([5, -5], 4096).tolist() == [0, 0]
    assert decay([1, -1], 1).tolist() == [0, 0]  # nothing stays at 1 for ever
    with pytest.raises(InputError, match="d has 4097; allowed: 0 to 4096"):
        decay(1, 4097)


@given(st.lists(st.integers(-32767, 32767), min_size=1, max_size=20), st.integers(0, 14))
def test_packed_weights_are_the_same_numbers(values, shift):
    w_act = np.array(values, np.int32) << shift
    weights, common = pack_weights(w_act)
    assert weights.dtype == np.int16 and 0 <= common <= 20
    np.testing.assert_array_equal(weights.astype(np.int64) << common, w_act)
    assert not w_act.any() or common == 20 or (weights & 1).any()


def test_packed_weights_limits():
    assert pack_weights(np.zeros((2, 0), int))[0].shape == (2, 0)
    assert pack_weights([2**21 - 64, -64])[1] == 6
    with pytest.raises(InputError, match="more than 16 bits"):
        pack_weights([32768, 1])


def test_limits_of_conventions():
    assert LOIHI1.limits == {"q_bits": 21, "u_bits": 23, "v_limit": 2**23 - 1}
    assert BRIAN2LOIHI.limits == {"q_bits": 29, "u_bits": 29, "v_limit": 2**29 - 1}
    LOIHI1.check_overflow(1, 1, 1, who="core")
    with pytest.raises(InputError, match="core: v went beyond 29 bits 2 times"):
        BRIAN2LOIHI.check_overflow(0, 0, 2, who="core")
    with pytest.raises(InputError, match="rounding"):
        Convention("mine", rounding="up")
    with pytest.raises(InputError, match="current_bits is 31"):
        Convention("mine", current_bits=31)
