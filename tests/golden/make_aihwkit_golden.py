"""Writes aihwkit_devices.npz: quantiles of what aihwkit 1.2.0's noise models draw, for the tests of the devices.

aihwkit needs an environment of its own (Python 3.12, pip install aihwkit==1.2.0); neither torch nor aihwkit is needed
to run the tests. Licence of aihwkit: MIT; only numbers drawn by it are stored.

    python make_aihwkit_golden.py aihwkit_devices.npz

Each case draws 400,000 cells at one target and keeps 199 quantiles. Only what the open model computes as its paper says
is sampled: ReRAM at its reference g_max of 40 uS, drift with the time that is counted from programming, no read noise.
"""

import sys

import numpy as np
import torch
from aihwkit.inference import ReRamCMONoiseModel, ReRamWan2022NoiseModel
from aihwkit.inference.converter.conductance import SinglePairConductanceConverter
from aihwkit.inference.noise.hermes import HermesNoiseModel
from aihwkit.inference.noise.pcm import PCMLikeNoiseModel

CELLS = 400_000
PROBABILITIES = np.linspace(0.005, 0.995, 199)
DAY = 86_400.0


def pcm_cases():
    """(name, draw): programmed conductance, and conductance after an hour, in uS."""
    models = {
        "pcm": (PCMLikeNoiseModel(read_noise_scale=0.0), 25.0),
        "hermes2": (HermesNoiseModel(num_devices=2, read_noise_scale=0.0), 20.7),
        "hermes1": (HermesNoiseModel(num_devices=1, read_noise_scale=0.0), 10.35),
    }
    for name, (model, g_max) in models.items():
        for g in (0.1, 0.5, 0.9):
            yield f"{name} {g} 0", model.apply_programming_noise_to_conductance, g * g_max
            yield f"{name} {g} 3600", lambda target, model=model: drifted(model, target, 3600.0), g * g_max


def drifted(model, target, seconds):
    programmed = model.apply_programming_noise_to_conductance(target)
    return model.apply_drift_noise_to_conductance(programmed, model.generate_drift_coefficients(programmed), seconds)


def reram_cases():
    wan = ReRamWan2022NoiseModel(g_converter=SinglePairConductanceConverter(g_max=40.0))
    for target in (8.0, 20.0, 36.0):
        yield f"wan {target} 0", wan.apply_programming_noise_to_conductance, target
        for seconds in (DAY, 2 * DAY):
            yield (
                f"wan {target} {seconds:g}",
                lambda t, s=seconds: wan.apply_drift_noise_to_conductance(t, t, s),
                target,
            )
    for acceptance in (0.2, 2):
        cmo = ReRamCMONoiseModel(acceptance_range=acceptance, read_noise_scale=0.0)
        for target in (20.0, 60.0):
            yield f"cmo{acceptance} {target} 0", cmo.apply_programming_noise_to_conductance, target
            yield f"cmo{acceptance} {target} {DAY:g}", lambda t, cmo=cmo: drifted(cmo, t, DAY), target


def main(path):
    torch.manual_seed(20240)
    found = {"probabilities": PROBABILITIES}
    for name, draw, target in [*pcm_cases(), *reram_cases()]:
        drawn = draw(torch.full((CELLS,), target, dtype=torch.float64)).numpy()
        found[name] = np.quantile(drawn, PROBABILITIES)
        print(f"{name}: target {target:g} uS, mean {drawn.mean():.4f}, deviation {drawn.std():.4f}")
    np.savez_compressed(path, **found)


if __name__ == "__main__":
    main(sys.argv[1])
