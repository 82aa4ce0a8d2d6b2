"""Cases V10, V11 and V13: TPU v1's measured programs and power, and SCALE-Sim's cycles."""

from dataclasses import replace

from ..chips.tpu_v1 import BUSY_WATTS, CNN0_OPS_PER_SECOND, JOUPPI, TPU_V1
from ..chips.xeon import XEON_E5_2699V3
from ..digital._work import Product
from ..digital.scale_sim import STATIONARY, scale_sim_cycles
from ..energy import Counts, price
from .case import Case, within

PROGRAMS = {  # name: (multiply-accumulates for each byte of weights, 10^12 operations/s measured); JOUPPI, Tables 1, 3
    "MLP0": (200, 12.3),
    "MLP1": (168, 9.7),
    "LSTM0": (64, 3.7),
    "LSTM1": (96, 2.8),
    "CNN0": (2888, 86.0),
    "CNN1": (1750, 14.1),
}
XEON_BUSY_WATTS = 145.0  # JOUPPI, Table 2
GATED = ("MLP0", "MLP1", "LSTM0", "CNN0")
SCALE_SIM_RUNS = {  # (R, C, K, M, T): cycles with weights, inputs, outputs stationary; scalesim 3.0.0
    (4, 4, 4, 4, 1): (11, 14, 10),
    (16, 4, 27, 10, 100): (804, 2200, 945),
    (8, 32, 50, 33, 20): (924, 553, 528),
    (32, 32, 64, 100, 49): (1144, 776, 1008),
}


def tpu_tops(intensity: int, side: int = 40 * 256) -> float:
    """TPU v1's rate on matrices of `side` x `side`, 10^12 operations/s, `intensity` products for each byte of weights.

    Tiles of 256 x 256 are fetched whole, so a side that is no multiple of 256 wastes bandwidth.
    """
    product = Product("layer", 1, side, side, 1, side**2, 0)
    seconds = TPU_V1.cycles(product, intensity) / TPU_V1.clock_hz
    return 2 * product.macs * intensity / seconds / 1e12


def cnn1_tops(filled: float = 22.5 / 46.2) -> float:
    """CNN1's rate with the share of the multipliers that hold useful weights while the array works (Table 3).

    Its 100 M weights are taken as those of fully connected layers, fetched once a batch of 32 and not hidden behind the
    convolutions: the most that fetching can take.
    """
    macs, weights, batch = 1750 * 100e6, 100e6, 32
    tiles = weights / (TPU_V1.rows * TPU_V1.columns)
    fetching = tiles * TPU_V1.cycles(Product("fc", 1, 256 * 40, 256 * 40, 1, 0, 0), batch) / 1600
    computing = macs / (TPU_V1.rows * TPU_V1.columns * filled)
    return 2 * macs * TPU_V1.clock_hz / (computing + fetching) / 1e12


def tile_seconds(side: int) -> float:
    """Time of one product with a 600 x 600 matrix on an array of `side` x `side`, tiles fetched whole."""
    array = replace(TPU_V1, rows=side, columns=side)
    return array.cycles(Product("layer", 1, 600, 600, 1, 360_000, 0), 1) / array.clock_hz


def tpu_watts(share: float) -> float:
    """Power of the die at `share` of CNN0's rate: idle power and the price of each MAC."""
    macs = round(share * CNN0_OPS_PER_SECOND / 2)
    return price(Counts({("chip", "mac"): macs}), TPU_V1.costs, seconds=1, inferences=1, units={"chip": 1}).total


def xeon_watts(share: float) -> float:
    """Power of the Xeon's die at `share` of its peak 8-bit rate: idle power and the price of each operation."""
    events = Counts({("chip", "op_int8"): round(share * XEON_E5_2699V3.peak_ops[8])})
    return price(events, XEON_E5_2699V3.costs, seconds=1, inferences=1, units={"chip": 1}).total


def tpu_cases() -> list[Case]:
    """Six programs by tile timing, and the power at part load by a line."""
    programs = [
        Case(
            number="V10",
            title=f"TPU v1, {name}",
            unit="TOPS",
            published=measured,
            ours=tpu_tops(intensity),
            tolerance=within(0.20),
            proof="independent silicon",
            source=f"{JOUPPI}, Table 3",
            reading="primary",
            same_paper="array, clock, weight bandwidth; products for each byte of weights",
            gate=name in GATED,
            note="" if name in GATED else "large matrices assumed: no fragmented tiles, and no read-after-write stalls",
        )
        for name, (intensity, measured) in PROGRAMS.items()
    ]
    measured = PROGRAMS["LSTM1"][1]
    fragmented = Case(
        number="V10",
        title="TPU v1, LSTM1 as matrices of 600 x 600 in fragmented tiles",
        unit="TOPS",
        published=measured,
        ours=tpu_tops(PROGRAMS["LSTM1"][0], 600),
        tolerance=within(0.20),
        proof="independent silicon",
        source=f"{JOUPPI}, Table 3",
        reading="primary",
        same_paper="array, clock, weight bandwidth; products for each byte of weights; one of its matrices",
        note="read-after-write stalls are not modelled; the paper names one matrix, here it stands for all",
    )
    half_filled = Case(
        number="V10",
        title="TPU v1, layers of CNN1 that fill half of the multipliers, weights fetched apart",
        unit="TOPS",
        published=PROGRAMS["CNN1"][1],
        ours=cnn1_tops(),
        tolerance=within(0.20),
        proof="held out",
        source=f"{JOUPPI}, Table 3",
        reading="primary",
        same_paper="array, clock, weight bandwidth; products for each byte of weights; share of useful multipliers",
        note="read-after-write stalls and layers without a matrix product, 19 % of its cycles, are not modelled",
    )
    fragments = [
        Case(
            number="V10",
            title=f"600 x 600 matrix in tiles of {side} x {side}",
            unit="s",
            published=seconds,
            ours=tile_seconds(side),
            tolerance=within(0.10),
            proof="differential",
            source=f"{JOUPPI}, section on alternative designs",
            reading="primary",
            same_paper="clock, weight bandwidth",
            note="a figure of its authors' own model",
        )
        for side, seconds in ((256, 18e-6), (512, 32e-6))
    ]
    common = {"number": "V11", "source": JOUPPI, "reading": "primary", "free_parameters": 1}
    return [
        *programs,
        fragmented,
        half_filled,
        *fragments,
        Case(
            title="TPU v1, power of the die at 10 % load",
            unit="W",
            published=0.88 * BUSY_WATTS,
            ours=tpu_watts(0.1),
            tolerance=within(0.10),
            proof="held out",
            same_paper="idle and busy power, rate of CNN0",
            note="88 % of full power was measured: power at part load is not a line",
            **common,
        ),
        Case(
            title="Xeon E5-2699 v3, power of the die at 10 % load",
            unit="W",
            published=0.56 * XEON_BUSY_WATTS,
            ours=xeon_watts(0.1),
            tolerance=within(0.10),
            proof="held out",
            same_paper="idle and busy power, peak rate",
            note="56 % of full power was measured: power at part load is not a line",
            **common,
        ),
        Case(
            title="TPU v1, efficiency on CNN0",
            unit="TOPS/W",
            published=CNN0_OPS_PER_SECOND / BUSY_WATTS / 1e12,
            ours=CNN0_OPS_PER_SECOND / tpu_watts(1.0) / 1e12,
            tolerance=within(0.01),
            proof="fitted",
            same_paper="idle and busy power, rate of CNN0",
            **common,
        ),
    ]


def scale_sim_cases() -> list[Case]:
    """Cycles of small products in all three dataflows, against runs of SCALE-Sim."""
    return [
        Case(
            number="V13",
            title=f"SCALE-Sim, {stationary} stationary, {r} x {c} array, K {k}, M {m}, T {t}",
            unit="cycles",
            published=cycles,
            ours=scale_sim_cycles(r, c, k, m, t, stationary=stationary),
            tolerance=within(0.0),
            proof="differential",
            source="scalesim 3.0.0, length of the demand matrices",
            reading="primary",
            same_paper="the formula",
            gate=True,
        )
        for (r, c, k, m, t), runs in SCALE_SIM_RUNS.items()
        for stationary, cycles in zip(STATIONARY, runs, strict=True)
    ]


def cases() -> list[Case]:
    """V10, V11 and V13."""
    return [*tpu_cases(), *scale_sim_cases()]
