"""Prices of SpiNNaker 2: one synaptic operation and one neuron update, of its test chip in 28 nm.

There is no preset of the machine: Arm processors with accelerators run programs, which are not emulated. Charge a run
of other cores with these prices only to see what its events would cost, `replace(LOIHI, costs=SPINNAKER2_COSTS)`.

The figures were read in keras-spiking, which cites the paper; the paper measures a test chip of four processing
elements, not the machine in 22 nm. Whether the prices hold a share of the power at rest was not read.
"""

from ..energy import Cost, CostTable

HOEPPNER = "Hoeppner 2019, arXiv:1903.08941, as used by keras-spiking 0.3.0, model_energy.py"


def _event(event: str, joules: float, part: str) -> Cost:
    return Cost(
        event=event, value=joules, kind="marginal", device="SpiNNaker 2 test chip", source=HOEPPNER, part=part,
        evidence="silicon", node_nm=28, note="test chip of four processing elements",
    )  # fmt: skip


SPINNAKER2_COSTS = CostTable(
    costs=(
        _event("synaptic_op", 450e-12, "synapse"),
        _event("neuron_update_active", 2.19e-9, "neuron"),
        _event("neuron_update_inactive", 2.19e-9, "neuron"),
    ),
    free=dict.fromkeys(
        ("neuron_spike", "spike_within_tile", "hop_east_west", "hop_north_south", "input_spike", "barrier_sync"),
        "not read",
    ),
    excludes=("power at rest, unless the prices hold a share of it", "network, memory beside the processors, host"),
)
