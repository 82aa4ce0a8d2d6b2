"""Presets: published machines as data. Vary one with `dataclasses.replace(HERMES, adc=Adc(bits=6))`."""

from .a100 import A100
from .analog_neurons import PCM_NEURONS, RERAM_NEURONS
from .edge import EDGE_TPU, ET_SOC_1, JETSON_ORIN
from .gpus import H100, T4, V100
from .hbm_pim import HBM_PIM
from .hermes import HERMES, HERMES_4PHASE
from .ibm34 import IBM34
from .isaac import ISAAC
from .loihi import LOIHI
from .loihi2 import LOIHI2
from .neurram import NEURRAM
from .puma import PUMA
from .tpu_v1 import TPU_V1
from .tpu_v4i import TPU_V4I
from .truenorth import TRUENORTH
from .xeon import XEON_E5_2699V3

ALL = {
    "HERMES": HERMES,
    "HERMES_4PHASE": HERMES_4PHASE,
    "IBM34": IBM34,
    "ISAAC": ISAAC,
    "NEURRAM": NEURRAM,
    "PCM_NEURONS": PCM_NEURONS,
    "RERAM_NEURONS": RERAM_NEURONS,
    "PUMA": PUMA,
    "LOIHI": LOIHI,
    "LOIHI2": LOIHI2,
    "TRUENORTH": TRUENORTH,
    "TPU_V1": TPU_V1,
    "TPU_V4I": TPU_V4I,
    "T4": T4,
    "V100": V100,
    "A100": A100,
    "H100": H100,
    "EDGE_TPU": EDGE_TPU,
    "JETSON_ORIN": JETSON_ORIN,
    "ET_SOC_1": ET_SOC_1,
    "HBM_PIM": HBM_PIM,
    "XEON_E5_2699V3": XEON_E5_2699V3,
}

__all__ = [
    "A100",
    "ALL",
    "EDGE_TPU",
    "ET_SOC_1",
    "H100",
    "HBM_PIM",
    "HERMES",
    "HERMES_4PHASE",
    "IBM34",
    "ISAAC",
    "JETSON_ORIN",
    "LOIHI",
    "LOIHI2",
    "NEURRAM",
    "PCM_NEURONS",
    "PUMA",
    "RERAM_NEURONS",
    "T4",
    "TPU_V1",
    "TPU_V4I",
    "TRUENORTH",
    "V100",
    "XEON_E5_2699V3",
]
