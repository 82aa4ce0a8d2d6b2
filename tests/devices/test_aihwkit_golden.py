"""Cells beside 400,000 drawn by aihwkit 1.2.0 in the same state (see golden/make_aihwkit_golden.py)."""

from pathlib import Path

import numpy as np
import pytest

from neuroemu.devices import HermesPcm, Pcm, RramCmo, RramWan2022

GOLDEN = Path(__file__).parents[1] / "golden" / "aihwkit_devices.npz"
DEVICES = {
    "pcm": Pcm(),
    "hermes2": HermesPcm(devices=2),
    "hermes1": HermesPcm(devices=1),
    "wan": RramWan2022(),
    "cmo0.2": RramCmo(acceptance=0.2),
    "cmo2": RramCmo(acceptance=2),
}
N = 200_000
CLOSE = 2.2 * np.sqrt(1 / N + 1 / 400_000)  # two-sample Kolmogorov-Smirnov, p = 1e-4

with np.load(GOLDEN, allow_pickle=False) as archive:
    CASES = dict(archive)
PROBABILITIES = CASES.pop("probabilities")


@pytest.mark.parametrize("case", CASES)
def test_cells_are_distributed_as_in_the_open_model(case):
    name, level, seconds = case.split()
    device = DEVICES[name]
    # The open model's PCM cases are named by g = target / g_max, its ReRAM cases by the target in uS.
    relative = name.startswith(("pcm", "hermes"))
    target = float(level) * (device.g_max if relative else 1e-6)
    cells = device.program(np.full(N, target), np.random.default_rng(17))
    drawn = np.sort(device.conductance(cells, float(seconds))) / 1e-6
    below = np.searchsorted(drawn, CASES[case]) / N
    sound = CASES[case] > 0  # both are cut at 0, where a quantile says no more than that
    assert sound.mean() > 0.98 and np.abs(below - PROBABILITIES)[sound].max() < CLOSE
