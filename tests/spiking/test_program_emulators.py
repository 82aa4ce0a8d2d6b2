"""Programs for Loihi: runs of other emulators and of the chip, repeated register by register."""

from pathlib import Path

import numpy as np
import pytest

from neuroemu.errors import InputError
from neuroemu.spiking import (
    BRIAN2LOIHI,
    LAVA,
    LOIHI1,
    LOIHI2,
    NENGO,
    Compartments,
    InputAxons,
    LoihiProgram,
    Noise,
    SharedKernel,
    Synapses,
    encode_weights,
    run_loihi,
)
from neuroemu.spiking.compiling import split_bias

GOLDEN = Path(__file__).parents[1] / "golden"
MODES = ("mixed", "excitatory", "inhibitory")


def load(name):
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def unpacked(bits, n):
    return np.unpackbits(bits, axis=1)[:, :n]


def brian2_loihi_program(golden):
    n_in, n = golden["w_in"].shape
    return LoihiProgram(
        compartments=(
            Compartments(
                name="core", n=n, threshold_mantissa=int(golden["threshold_v_mant"]),
                current_decay=int(golden["decay_I"]), voltage_decay=int(golden["decay_v"]),
                refractory=int(golden["refractory"]),
            ),
        ),
        synapses=(
            Synapses(source="in", target="core", mantissa=golden["w_in"], delay=golden["delay_in"]),
            Synapses(source="core", target="core", mantissa=golden["w_rec"], delay=golden["delay_rec"]),
        ),
        inputs=(InputAxons(name="in", n=n_in),),
    )  # fmt: skip


def test_brian2_loihi_recurrent_with_delays_and_refractory_time():
    golden = load("brian2loihi_recurrent")
    program, spikes_in = brian2_loihi_program(golden), golden["spikes_in"]
    found = run_loihi(program, {"in": spikes_in}, steps=len(spikes_in), probe="core", convention=BRIAN2LOIHI)
    for name in ("spikes", "u", "v"):
        np.testing.assert_array_equal(getattr(found, name)["core"][:, 0], golden[name], err_msg=name)


def test_brian2_loihi_for_10000_steps():
    golden = load("brian2loihi_long")
    program, spikes_in = brian2_loihi_program(golden), unpacked(golden["spikes_in"], 40)
    found = run_loihi(program, {"in": spikes_in}, steps=10_000, probe="core", convention=BRIAN2LOIHI)
    np.testing.assert_array_equal(found.spikes["core"][:, 0], unpacked(golden["spikes"], 30))
    assert found.spikes["core"].sum() > 10_000
    for state in "uv":
        values = getattr(found, state)["core"][:, 0]
        np.testing.assert_array_equal(values[:400], golden[state])
        np.testing.assert_array_equal(values.sum(axis=0, dtype=np.int64), golden[f"{state}_sum"])


def test_nengo_loihi_with_bias_noise_and_overflow_for_10000_steps():
    """Two populations; noise on v in the first and on u in the second; q, u and v leave their ranges."""
    golden, sizes, steps = load("nengo_loihi_recurrent"), (20, 16), 10_001
    draws = np.random.RandomState(int(golden["seed"]))  # the emulator's own
    drawn = np.stack([draws.randint(-127, 128, size=sum(sizes), dtype=np.int32) for _ in range(steps)])[:, None]
    noise = (Noise(exponent=9, offset=1), Noise(exponent=7, offset=-1, target="current"))
    parts = []
    for index, n in enumerate(sizes):
        mantissa, exponent = split_bias(golden[f"bias_{index}"])
        parts.append(
            Compartments(
                name="ab"[index], n=n, threshold_mantissa=golden[f"vth_{index}"],
                current_decay=golden[f"decay_u_{index}"], voltage_decay=golden[f"decay_v_{index}"],
                bias_mantissa=mantissa, bias_exponent=exponent, refractory=golden[f"refract_delay_{index}"],
                noise=noise[index],
            )
        )  # fmt: skip
    program = LoihiProgram(
        compartments=tuple(parts),
        synapses=(
            Synapses(source="in", target="a", mantissa=golden["w_in"]),
            Synapses(source="a", target="b", mantissa=golden["w_next"], bits=5, exponent=1, sign_mode="excitatory"),
            Synapses(source="b", target="b", mantissa=golden["w_own"], bits=6, exponent=-1, sign_mode="inhibitory"),
            Synapses(source="b", target="a", mantissa=np.minimum(golden["w_back"], 254), bits=4, exponent=6),
        ),
        inputs=(InputAxons(name="in", n=30),),
    )
    spikes_in = np.zeros((steps, 30), np.uint8)
    spikes_in[1:] = unpacked(golden["spikes_in"], 30)  # the emulator's inputs take a step to arrive
    noises = {"a": drawn[:, :, : sizes[0]], "b": drawn[:, :, sizes[0] :]}
    found = run_loihi(program, {"in": spikes_in}, steps=steps, probe=("a", "b"), convention=NENGO, noise_draws=noises)
    assert sum(found.counts["a"][key] > 10 for key in ("q_wraps", "u_wraps", "v_clips")) == 3
    for name, part in (("a", slice(0, 20)), ("b", slice(20, 36))):
        assert found.spikes[name].sum() > 10_000
        np.testing.assert_array_equal(found.spikes[name][:, 0], unpacked(golden["spikes"], 36)[:, part])
        for state in "uv":
            values = getattr(found, state)[name][:, 0]
            np.testing.assert_array_equal(values[:400], golden[state][:, part])
            np.testing.assert_array_equal(values.sum(axis=0, dtype=np.int64), golden[f"{state}_sum"][part])


def test_lava_with_bias_and_delays_for_10000_steps():
    golden, sizes, steps = load("lava_recurrent"), (18, 14), 10_000
    parts = tuple(
        Compartments(
            name="ab"[index], n=n, threshold_mantissa=golden[f"vth_{index}_register"],
            current_decay=golden[f"du_{index}_register"], voltage_decay=golden[f"dv_{index}_register"],
            bias_mantissa=golden[f"bias_mant_{index}_register"], bias_exponent=golden[f"bias_exp_{index}_register"],
        )
        for index, n in enumerate(sizes)
    )  # fmt: skip
    program = LoihiProgram(
        compartments=parts,
        synapses=(
            Synapses(source="in", target="a", mantissa=golden["w_in"], delay=golden["delay"]),
            Synapses(source="a", target="b", mantissa=golden["w_next"], bits=5, exponent=1, sign_mode="excitatory"),
            Synapses(source="b", target="b", mantissa=golden["w_own"], bits=6, sign_mode="inhibitory"),
            Synapses(source="b", target="a", mantissa=golden["w_back"], bits=4, exponent=2),
        ),
        inputs=(InputAxons(name="in", n=24),),
    )
    spikes_in = np.zeros((steps, 24), np.uint8)
    spikes_in[1:] = unpacked(golden["spikes_in"], 24)[:-1]  # lava's source takes a step to arrive
    found = run_loihi(program, {"in": spikes_in}, steps=steps, probe=("a", "b"), convention=LAVA)
    for index, name in enumerate("ab"):
        # lava's ring buffer receives the spikes of a step in that step.
        np.testing.assert_array_equal(found.spikes[name][:, 0], unpacked(golden[f"spikes_{index}"], sizes[index]))
        assert np.ptp(found.spikes[name].sum(axis=0)) > 100
        for state in "uv":
            values = getattr(found, state)[name][:, 0]
            np.testing.assert_array_equal(values[:400], golden[f"{state}_{index}"])
            np.testing.assert_array_equal(values.sum(axis=0, dtype=np.int64), golden[f"{state}_sum_{index}"])


def test_lava_shifts_sums_by_negative_exponents():
    """What leaves and arrives together is shifted as one; with each weight shifted, the run comes out otherwise."""
    golden, n, steps = load("lava_shifted"), 18, 2000
    part = Compartments(
        name="a", n=n, threshold_mantissa=int(golden["vth"]), current_decay=int(golden["du"]),
        voltage_decay=int(golden["dv"]),
    )  # fmt: skip
    program = LoihiProgram(
        compartments=(part,),
        synapses=(
            Synapses(source="in", target="a", mantissa=golden["w_in"], delay=golden["delay"], exponent=-2),
            Synapses(source="a", target="a", mantissa=golden["w_own"], bits=6, exponent=-5),
        ),
        inputs=(InputAxons(name="in", n=24),),
    )
    spikes_in = np.zeros((steps, 24), np.uint8)
    spikes_in[1:] = unpacked(golden["spikes_in"], 24)[:-1]
    found = run_loihi(program, {"in": spikes_in}, steps=steps, probe="a", convention=LAVA)
    np.testing.assert_array_equal(found.spikes["a"][:, 0], unpacked(golden["spikes"], n))
    for state in "uv":
        values = getattr(found, state)["a"][:, 0]
        np.testing.assert_array_equal(values[:400], golden[state])
        np.testing.assert_array_equal(values.sum(axis=0, dtype=np.int64), golden[f"{state}_sum"])
    assert (found.u["a"] != run_loihi(program, {"in": spikes_in}, steps=steps, probe="a").u["a"]).any()


def test_tinynet_on_loihi():
    """Neurons driven by their biases, and a convolution of their spikes: both layers, spikes and currents, 16 steps.

    A true convolution, so the kernel is flipped; the golden has x and y swapped. Its registers came without the data:
    those of PilotNet's file (voltage decay 1024, threshold 25, biases times 64), with both layers a step late, fit all
    spikes of all 1,632 neurons. It lists both layers in one step; here a spike takes one to the next layer.
    """
    golden = load("loihi_tinynet")
    kernel = golden["kernel"].transpose(0, 3, 2, 1)[:, :, ::-1, ::-1]  # (O, C, x, y)
    shared = SharedKernel(mantissa=2 * kernel, input_shape=(3, 16, 16), stride=(2, 2))
    registers = {"threshold_mantissa": 25, "current_decay": 4095, "voltage_decay": 1024, "bias_exponent": 6}
    n, biases = int(np.prod(shared.output_shape)), golden["input_bias"].transpose(1, 0, 2).ravel()
    program = LoihiProgram(
        compartments=(
            Compartments(name="in", n=768, bias_mantissa=biases, start=1, **registers),
            Compartments(name="a", n=n, bias_mantissa=np.tile(golden["layer1_bias"], 36), start=2, **registers),
        ),
        synapses=(Synapses(source="in", target="a", mantissa=shared, exponent=-1),),  # 8 mixed bits are even
    )
    found = run_loihi(program, steps=17, probe="a")
    spikes = golden["input"].transpose(3, 1, 2, 0).reshape(16, 768)  # channel last
    np.testing.assert_array_equal(found.spikes["in"][:16, 0], spikes)
    u = found.u["a"][1:, 0].reshape(16, 6, 6, 24)
    np.testing.assert_array_equal(u, golden["current"].transpose(3, 1, 2, 0).astype(np.int32) << 6)
    np.testing.assert_array_equal(found.spikes["a"][1:, 0], golden["spikes"].transpose(3, 1, 2, 0).reshape(16, n))
    assert np.count_nonzero(u) > 5000 and found.spikes["a"].sum() == 1633


def test_weights_of_nengo_loihi():
    table, mantissa = load("nengo_loihi_weights")["units_of_64"], np.arange(-255, 256)
    for mode, (low, high) in enumerate(((-255, 254), (0, 255), (-255, 0))):
        there = (mantissa >= low) & (mantissa <= high)
        for place, bits in enumerate((1, 2, 3, 4, 5, 6, 8)):
            for exponent in range(-7, 8):
                found = encode_weights(
                    mantissa[there], exponent=exponent, bits=bits, sign_mode=MODES[mode], convention=NENGO
                )
                np.testing.assert_array_equal(found // 64, table[mode, place, exponent + 7][there])


def test_weights_of_lava():
    table, mantissa = load("lava_recurrent")["weights"], np.arange(-256, 256)
    for mode, (low, high) in enumerate(((-256, 254), (0, 255), (-255, 0))):
        there = (mantissa >= low) & (mantissa <= high)
        for bits in range(1, 9):
            found = encode_weights(mantissa[there], bits=bits, sign_mode=MODES[mode], convention=LAVA)
            np.testing.assert_array_equal(found // 64, table[mode, bits - 1][there])
    assert encode_weights([-255], convention=LOIHI1) == -16_256 and encode_weights([-255], convention=LOIHI2) == -16_384
    with pytest.raises(InputError, match="exponent is -1; convention 'LAVA' shifts sums"):
        encode_weights([3], exponent=-1, convention=LAVA)
