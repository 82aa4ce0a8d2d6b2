"""Prices and times of Loihi 1: 128 asynchronous cores, 14 nm FinFET.

Per-event figures are from circuit simulation before silicon at 0.75 V, which the authors call consistent with early
measurements; static power was measured on boards of 32 chips.
"""

from ..energy import Cost, CostTable

DAVIES = "Davies 2018, doi:10.1109/MM.2018.112130359, Table 2"
FRADY = "Frady 2020, arXiv:2004.12691: 3.34 W static for 32 chips"
EVENT_BAND = (0.83, 1.2)  # a search took 0.83 to 0.92 of these prices (Frady 2020; validation V3); upper end assumed
STATIC_BAND = (0.81, 1.24)  # a core of another board drew 1.0064 mW (validation V4); lower end assumed


def _event(event: str, picojoules: float, part: str, note: str = "") -> Cost:
    return Cost(
        event=event,
        value=picojoules * 1e-12,
        kind="marginal",
        device="Loihi",
        source=DAVIES,
        evidence="spice",
        part=part,
        node_nm=14,
        voltage=0.75,
        band=EVENT_BAND,
        note=note,
    )


def _static(scope: str, watts: float, note: str) -> Cost:
    return Cost(
        event="static",
        value=watts,
        kind="static",
        device="Loihi",
        source=FRADY,
        evidence="silicon",
        part="chip",
        scope=scope,
        node_nm=14,
        band=STATIC_BAND,
        note=note,
    )


LOIHI_COSTS = CostTable(
    costs=(
        _event("synaptic_op", 23.6, "synapse", "the published minimum"),
        _event("synaptic_update", 120.0, "synapse", "pairwise spike-timing learning"),
        _event("neuron_update_active", 81.0, "neuron", "compartments that integrate input or spike"),
        _event("neuron_update_inactive", 52.0, "neuron"),
        _event("spike_within_tile", 1.7, "network"),
        _event("hop_east_west", 3.0, "network", "one tile"),
        _event("hop_north_south", 4.0, "network", "one tile"),
        _static("chip", 3.34 / 32, "104.4 mW; supply voltage not stated"),
        _static("core", 3.34 / 32 / 128, "0.815 mW: the chip's share, an upper bound for a core"),
    ),
    free={
        "neuron_spike": "not published apart: an active update includes it",
        "input_spike": "not published: injected by the x86 cores or the host",
        "barrier_sync": "not published: only its time is",
    },
    excludes=(
        "the three x86 cores and the host: 89 % of the power in one measured run (sequential MNIST, one core in use)",
        "loading weights and resetting state between inputs",
        "links between chips",
    ),
)

LOIHI_SECONDS = {  # DAVIES; the published maximum of each
    "synaptic_op": 3.5e-9,
    "synaptic_update": 6.1e-9,
    "neuron_update_active": 8.4e-9,
    "neuron_update_inactive": 5.3e-9,
    "spike_within_tile": 2.1e-9,
    "hop_east_west": 4.1e-9,
    "hop_north_south": 6.5e-9,
    "barrier_sync_1_tile": 113e-9,
    "barrier_sync_32_tiles": 465e-9,
}
