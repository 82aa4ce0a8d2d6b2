"""Presets: published machines as data. Vary one with `dataclasses.replace(HERMES, adc=Adc(bits=6))`.

`ALL` has them by name, `ABSENT` says why other machines have none.
"""

import lazy_loader

from .absent import ABSENT

# Presets load on first use; __init__.pyi lists the names and where they are.
_load, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ = sorted([*__all__, "ALL"])

PRESETS = (
    "HERMES",
    "HERMES_4PHASE",
    "IBM34",
    "ISAAC",
    "NEURRAM",
    "PCM_NEURONS",
    "RERAM_NEURONS",
    "PUMA",
    "LOIHI",
    "LOIHI2",
    "TRUENORTH",
    "TPU_V1",
    "TPU_V4I",
    "T4",
    "V100",
    "A100",
    "H100",
    "EDGE_TPU",
    "JETSON_ORIN",
    "ET_SOC_1",
    "HBM_PIM",
    "KV260",
    "XEON_E5_2699V3",
)


def __getattr__(name):
    if name == "ALL":
        globals()[name] = found = {preset: _load(preset) for preset in PRESETS}
        return found
    if name in __all__:
        return _load(name)
    if name.upper() in ABSENT:
        raise AttributeError(f"chips: no preset '{name}': {ABSENT[name.upper()]}")
    raise AttributeError(f"chips: no preset '{name}'; choose from {', '.join(PRESETS)}")


def __dir__():
    return __all__
