"""SCALE-Sim's formulas against runs of the program, an array clocked register by register, and bounds."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroemu.digital import Accesses, scale_sim_accesses, scale_sim_cycles
from neuroemu.digital.scale_sim import STATIONARY
from neuroemu.errors import InputError

# (R, C, K, M, T): {stationary: (cycles, input reads, weight reads, output writes)}; scalesim 3.0.0, length of the
# demand matrices of compute/systolic_compute_{ws,is,os}.py and addresses in them that are not -1.
RUNS = {
    (4, 4, 4, 4, 1): {"weight": (11, 4, 16, 4), "input": (14, 4, 16, 4), "output": (10, 4, 16, 4)},
    (8, 8, 9, 8, 5): {"weight": (54, 45, 72, 80), "input": (60, 45, 72, 80), "output": (23, 45, 72, 40)},
    (16, 4, 27, 10, 100): {
        "weight": (804, 8100, 270, 2000), "input": (2200, 2700, 6750, 2000), "output": (945, 8100, 1890, 1000),
    },
    (8, 32, 50, 33, 20): {
        "weight": (924, 2000, 1650, 4620), "input": (553, 1000, 1650, 4620), "output": (528, 2000, 4950, 660),
    },
    (3, 5, 7, 11, 13): {
        "weight": (198, 273, 77, 429), "input": (180, 91, 231, 429), "output": (195, 273, 385, 143),
    },
    (32, 32, 64, 100, 49): {
        "weight": (1144, 12544, 6400, 9800), "input": (776, 3136, 12800, 9800), "output": (1008, 12544, 12800, 4900),
    },
    (1, 1, 3, 2, 4): {"weight": (30, 24, 6, 24), "input": (36, 12, 24, 24), "output": (24, 24, 24, 8)},
    (16, 16, 150, 6, 196): {
        "weight": (2420, 29400, 900, 11760), "input": (6760, 29400, 11700, 11760), "output": (2340, 29400, 11700, 1176),
    },
}  # fmt: skip


@pytest.mark.parametrize("stationary", STATIONARY)
@pytest.mark.parametrize("sizes", RUNS)
def test_cycles_and_accesses_of_scale_sim(sizes, stationary):
    cycles, inputs, weights, outputs = RUNS[sizes][stationary]
    assert scale_sim_cycles(*sizes, stationary=stationary) == cycles
    expected = Accesses(input_reads=inputs, weight_reads=weights, output_writes=outputs)
    assert scale_sim_accesses(*sizes, stationary=stationary) == expected


def clocked_output_stationary(inputs, weights):
    """One fold, register by register: (sums, cycles until the last product). Inputs enter left, weights on top."""
    (rows, fan_in), columns = inputs.shape, weights.shape[1]
    right, down, sums = (np.zeros((rows, columns)) for _ in range(3))
    done, cycle = 0, 0
    while done < rows * columns * fan_in:
        entering = [inputs[r, cycle - r] if 0 <= cycle - r < fan_in else 0 for r in range(rows)]
        falling = [weights[cycle - c, c] if 0 <= cycle - c < fan_in else 0 for c in range(columns)]
        right = np.hstack([np.array(entering)[:, None], right[:, :-1]])
        down = np.vstack([np.array(falling), down[:-1]])
        sums += right * down
        done += sum(0 <= cycle - r - c < fan_in for r in range(rows) for c in range(columns))
        cycle += 1
    return sums, cycle


@pytest.mark.parametrize("rows, columns, fan_in", [(1, 1, 1), (3, 2, 5), (2, 4, 1), (4, 4, 9)])
def test_output_stationary_equals_an_array_clocked_register_by_register(rows, columns, fan_in):
    rng = np.random.default_rng(0)
    inputs, weights = rng.integers(-3, 4, (rows, fan_in)), rng.integers(-3, 4, (fan_in, columns))
    sums, cycles = clocked_output_stationary(inputs, weights)
    np.testing.assert_array_equal(sums, inputs @ weights)
    assert scale_sim_cycles(rows, columns, fan_in, columns, rows, stationary="output") == cycles


sizes = st.integers(1, 40)


@given(sizes, sizes, sizes, sizes, sizes, st.sampled_from(STATIONARY))
def test_no_array_is_faster_than_its_multipliers_or_reads_less_than_its_operands(r, c, k, m, t, stationary):
    assert scale_sim_cycles(r, c, k, m, t, stationary=stationary) >= ceil(k * m * t / (r * c))
    found = scale_sim_accesses(r, c, k, m, t, stationary=stationary)
    assert (found.input_reads >= k * t) and (found.weight_reads >= k * m) and (found.output_writes >= m * t)
    once = {"weight": (found.weight_reads, k * m), "input": (found.input_reads, k * t)}
    once["output"] = (found.output_writes, m * t)
    assert once[stationary][0] == once[stationary][1]


@given(sizes, sizes, sizes, sizes, sizes)
def test_inputs_and_weights_change_places(r, c, k, m, t):
    """(T, K) x (K, M) with inputs stationary is its transpose (M, K) x (K, T) with weights stationary."""
    assert scale_sim_cycles(r, c, k, m, t, stationary="input") == scale_sim_cycles(r, c, k, t, m)


def test_unknown_dataflow_is_refused():
    with pytest.raises(InputError, match="'weight', 'input', 'output'"):
        scale_sim_cycles(4, 4, 4, 4, 4, stationary="row")
