"""Row drivers, sample-and-hold cells and the neuron circuits of two crossbar chips: one Cost each.

ISAAC's are a model at 32 nm; NeuRRAM's were fitted by the authors of CiMLoop to the energies that its paper shows.
"""

from .. import _checks
from ..energy import Cost

ISAAC = "Shafiee 2016, doi:10.1109/ISCA.2016.12, Table I"
MNSIM = "MNSIM 2.0 after ISAAC: 3.9 uW x 2^(b - 1)"
NEURRAM = "Andrulis, hwcomponents-library, library/neurram.py, fitted to Wan 2022, doi:10.1038/s41586-022-04992-8"


def dac_energy(bits: int, *, seconds: float = 100e-9) -> Cost:
    """Price of driving one row for one cycle, E = 3.9 uW 2^(b - 1) t.

    Parameters
    ----------
    bits : int, 1 to 4
    seconds : float, > 0
        Cycle; 100 ns is ISAAC's, and gives its 0.39 pJ at one bit.
    """
    _checks.integer(bits, who="dac_energy", name="bits", low=1, high=4)
    seconds = _checks.real(seconds, who="dac_energy", name="seconds", low=1e-12)
    return _average(
        "dac_drive",
        3.9e-6 * 2 ** (bits - 1) * seconds,
        f"{ISAAC}; {MNSIM}",
        device="ISAAC DAC",
        node_nm=32,
        bits=bits,
        band=(1.0, 0.41667 / 0.390625),  # hwcomponents charges 100 of 128 rows with the power of all
    )


def _average(event: str, joules: float, source: str, *, device: str, evidence: str = "model", **fields) -> Cost:
    fixed = {"kind": "average", "part": "converters", "evidence": evidence}
    return Cost(event=event, value=joules, source=source, device=device, **(fixed | fields))


def _neurram(event: str, picojoules: float, **fields) -> Cost:
    fixed = {"node_nm": 130, "voltage": 1.8, "device": "NeuRRAM neuron"}
    return _average(event, picojoules * 1e-12, NEURRAM, evidence="fitted", **(fixed | fields))


SAMPLE_AND_HOLD = _average(
    "sample_and_hold",
    10e-6 / 1024 * 100e-9,  # 10 uW for 8 x 128 cells in a cycle of 100 ns: 0.98 fJ
    ISAAC,
    device="ISAAC sample and hold",
    node_nm=32,
)
SHIFT_ADD = _average(
    "shift_add",
    0.2e-3 / (8 * 1.2e9),  # 0.2 mW at the rate of 8 converters: 0.021 pJ
    ISAAC,
    device="ISAAC shift and add",
    node_nm=32,
    bits=16,
    part="compute",
)
NEURRAM_SAMPLE = _neurram("neurram_sample", 1.2, note="one for each magnitude bit of the input")
NEURRAM_INTEGRATE = _neurram("neurram_integrate", 0.25, note="2^n - 1 for a phase of n bits")
NEURRAM_ADC_STEP = _neurram("neurram_adc_step", 0.3, note="one for each output bit of a phase")
NEURRAM_SHIFT_ADD_8 = _neurram("neurram_shift_add", 0.1, bits=8, part="compute", note="8 output bits; linear in them")
