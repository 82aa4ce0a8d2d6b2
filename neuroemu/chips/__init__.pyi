"""What `neuroemu.chips` offers; `__init__.py` loads each preset on first use."""

import neuroemu.chip

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
from .odin import ODIN_COSTS, odin_costs
from .puma import PUMA
from .spinnaker2_costs import SPINNAKER2_COSTS
from .tpu_v1 import TPU_V1
from .tpu_v4i import TPU_V4I
from .truenorth import TRUENORTH
from .xeon import XEON_E5_2699V3

ALL: dict[str, neuroemu.chip.Chip]
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
