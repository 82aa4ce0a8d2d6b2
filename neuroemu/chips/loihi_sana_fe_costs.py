"""Other prices of Loihi 1: those that the authors of SANA-FE fitted to measured boards, for the counts of LOIHI.

`replace(LOIHI, costs=LOIHI_SANA_FE_COSTS)` charges them. They differ from the maker's (`LOIHI_COSTS`): a message costs
111 pJ to send, and a spike 69.3 pJ on top of the update. SANA-FE knows no static power; that of LOIHI stands here.
"""

from ..energy import Cost, CostTable
from .loihi_costs import LOIHI_COSTS

SANA_FE = "SANA-FE 2.2.9, arch/loihi.yaml (github.com/SLAM-Lab/SANA-FE), fitted by its authors"
DENSE, CONVOLUTION = 35.5, 24.0  # pJ an operation; sparse synapses take 33.6; SANA_FE


def _event(event: str, picojoules: float, part: str, note: str = "", band=(1.0, 1.0)) -> Cost:
    return Cost(
        event=event, value=picojoules * 1e-12, kind="marginal", device="Loihi", source=SANA_FE, evidence="fitted",
        part=part, node_nm=14, band=band, note=note,
    )  # fmt: skip


LOIHI_SANA_FE_COSTS = CostTable(
    costs=(
        _event("synaptic_op", DENSE, "synapse", "dense; band: convolutions take 24.0", (CONVOLUTION / DENSE, 1.0)),
        _event("neuron_update_active", 51.2 + 21.6, "neuron", "access and update of a soma"),
        _event("neuron_update_inactive", 51.2 + 21.6, "neuron", "access and update of a soma"),
        _event("neuron_spike", 69.3, "neuron"),
        _event("spike_within_tile", 111.0, "network", "a message to one core leaves its axon"),
        _event("hop_east_west", 3.0, "network", "one tile"),
        _event("hop_north_south", 4.2, "network", "one tile"),
        *(cost for cost in LOIHI_COSTS.costs if cost.unit == "W"),
    ),
    free={event: why for event, why in LOIHI_COSTS.free.items() if event != "neuron_spike"},
    excludes=LOIHI_COSTS.excludes,
)
