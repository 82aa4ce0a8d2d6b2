"""Dynamic memristors: cells whose state moves with the voltage across them, computed for whole arrays at once.

A model is a frozen dataclass of parameters; a state is a plain float64 array, one number a device. All models have
the same verbs: `initial_state`, `current`, `step`, `conductance`, `state_for`; `simulate` runs a wave of voltages.
Published parameter sets are the names in capitals.
"""

from .base import Memristor
from .data_driven import DATA_DRIVEN_2017, DATA_DRIVEN_2021, DataDriven2017, DataDriven2021
from .ion_drift import ION_DRIFT_BIOLEK, ION_DRIFT_HP, ION_DRIFT_JOGLEKAR, IonDrift
from .knowm import KNOWM_MMS, KnowmMms
from .simulation import simulate
from .stanford import STANFORD_PKU, StanfordPku
from .umich import UMICH, UMICH_VOLATILE, Umich
from .vteam import VTEAM, Vteam
from .windows import Biolek, Joglekar, NoWindow, Prodromakis, Window
from .yakopcic import YAKOPCIC_A, YAKOPCIC_B, Yakopcic

__all__ = [
    "DATA_DRIVEN_2017",
    "DATA_DRIVEN_2021",
    "ION_DRIFT_BIOLEK",
    "ION_DRIFT_HP",
    "ION_DRIFT_JOGLEKAR",
    "KNOWM_MMS",
    "STANFORD_PKU",
    "UMICH",
    "UMICH_VOLATILE",
    "VTEAM",
    "YAKOPCIC_A",
    "YAKOPCIC_B",
    "Biolek",
    "DataDriven2017",
    "DataDriven2021",
    "IonDrift",
    "Joglekar",
    "KnowmMms",
    "Memristor",
    "NoWindow",
    "Prodromakis",
    "StanfordPku",
    "Umich",
    "Vteam",
    "Window",
    "Yakopcic",
    "simulate",
]
