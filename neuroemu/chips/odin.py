"""Prices of ODIN (28 nm, 0.55 V): its published power, P = 27.3 uW + 1.78 uW/MHz f + 8.43 pJ r.

f is the clock and r the rate of synaptic operations. There is no preset of the chip: its 256 neurons of 8 bits and its
64 k synapses of 4 bits are not emulated. Charge a run of other cores with these prices only to see what its events
would cost there, `replace(LOIHI, costs=odin_costs(75e6))`; its time stays that of the other chip.

The three constants were read in quotations of the paper.
"""

from .. import _checks
from ..energy import Cost, CostTable

FRENKEL = "Frenkel 2019, doi:10.1109/TBCAS.2018.2880425"
LEAKAGE_WATTS, WATTS_PER_HERTZ, SYNAPTIC_JOULES = 27.3e-6, 1.78e-12, 8.43e-12  # FRENKEL, at 0.55 V
FASTEST = 75e6  # Hz at 0.55 V; FRENKEL
IN_OPERATION = "inside the price of a synaptic operation, which updates its neuron"


def odin_costs(clock_hz: float = FASTEST) -> CostTable:
    """Prices at a clock of up to 75 MHz, for the counts of spiking cores.

    Parameters
    ----------
    clock_hz : float, Hz, 0 to 75e6
        It runs whether or not there are events, so its power is static.
    """
    clock_hz = _checks.real(clock_hz, who="odin_costs", name="clock_hz", low=0.0, high=FASTEST)
    fixed = {"device": "ODIN", "source": FRENKEL, "evidence": "silicon", "node_nm": 28, "voltage": 0.55}
    watts = LEAKAGE_WATTS + WATTS_PER_HERTZ * clock_hz
    return CostTable(
        costs=(
            Cost(
                event="synaptic_op", value=SYNAPTIC_JOULES, kind="marginal", part="synapse", bits=4,
                note="12.7 pJ with all static power at 75 MHz and 37.5 M operations/s", **fixed,
            ),
            Cost(
                event="static", value=watts, kind="static", part="chip", scope="chip",
                note=f"27.3 uW of leakage and the clock at {clock_hz / 1e6:g} MHz", **fixed,
            ),
        ),
        free=dict.fromkeys(("neuron_update_active", "neuron_update_inactive", "neuron_spike"), IN_OPERATION)
        | dict.fromkeys(
            ("spike_within_tile", "hop_east_west", "hop_north_south", "input_spike", "barrier_sync"),
            "not published: a chip is one core, without a mesh",
        ),
        excludes=("what moves spikes to and from the chip", "loading weights", "host and board"),
    )  # fmt: skip


ODIN_COSTS = odin_costs()
