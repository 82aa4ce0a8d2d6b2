"""Presets: published machines as data. Vary one with `dataclasses.replace(HERMES, adc=Adc(bits=6))`."""

from .a100 import A100
from .hermes import HERMES, HERMES_4PHASE
from .loihi import LOIHI
from .tpu_v1 import TPU_V1
from .xeon import XEON_E5_2699V3

ALL = {
    "HERMES": HERMES,
    "HERMES_4PHASE": HERMES_4PHASE,
    "LOIHI": LOIHI,
    "TPU_V1": TPU_V1,
    "A100": A100,
    "XEON_E5_2699V3": XEON_E5_2699V3,
}

__all__ = ["A100", "ALL", "HERMES", "HERMES_4PHASE", "LOIHI", "TPU_V1", "XEON_E5_2699V3"]
