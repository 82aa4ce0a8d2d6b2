"""Presets: published machines as data. Vary one with `dataclasses.replace(HERMES, adc=Adc(bits=6))`.

`ALL` has them by name, `ABSENT` says why other machines have none.
"""

from .a100 import A100
from .absent import ABSENT
from .analog_neurons import PCM_NEURONS, RERAM_NEURONS
from .edge import EDGE_TPU, ET_SOC_1, JETSON_ORIN
from .gpus import H100, T4, V100
from .hbm_pim import HBM_PIM
from .hermes import HERMES, HERMES_4PHASE
from .ibm34 import IBM34
from .isaac import ISAAC
from .kv260 import KV260
from .loihi import LOIHI
from .loihi2 import LOIHI2
from .loihi_sana_fe_costs import LOIHI_SANA_FE_COSTS
from .neurram import NEURRAM
from .odin_costs import ODIN_COSTS, odin_costs
from .puma import PUMA
from .spinnaker2_costs import SPINNAKER2_COSTS
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
    "KV260": KV260,
    "XEON_E5_2699V3": XEON_E5_2699V3,
}

__all__ = [
    "A100",
    "ABSENT",
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
    "KV260",
    "LOIHI",
    "LOIHI2",
    "LOIHI_SANA_FE_COSTS",
    "NEURRAM",
    "ODIN_COSTS",
    "PCM_NEURONS",
    "PUMA",
    "RERAM_NEURONS",
    "SPINNAKER2_COSTS",
    "T4",
    "TPU_V1",
    "TPU_V4I",
    "TRUENORTH",
    "V100",
    "XEON_E5_2699V3",
    "odin_costs",
]


def __getattr__(name):
    if name.upper() in ABSENT:
        raise AttributeError(f"chips: no preset '{name}': {ABSENT[name.upper()]}")
    raise AttributeError(f"chips: no preset '{name}'; choose from {', '.join(ALL)}")
