"""Wires between parts: buses, routers, links between chips."""

from ..energy import Cost

ISAAC = "Shafiee 2016, doi:10.1109/ISCA.2016.12, Table I"
BY_ACCESS = f"{ISAAC}, by access as in hwcomponents-library, library/isaac.py"
YAN = "Yan 2024, arXiv:2409.08290"
MEROLLA = "Merolla 2014, doi:10.1126/science.1254642, with its supplement, and Akopyan 2015, as quoted"


def _move(event: str, picojoules: float, bits: int, source: str, **fields) -> Cost:
    fixed = {"kind": "average", "part": "network", "evidence": "model", "device": event}
    return Cost(event=event, value=picojoules * 1e-12, bits=bits, source=source, **(fixed | fields))


BUS_BIT = _move("bus_bit", 0.054, 1, BY_ACCESS, node_nm=32, note="eDRAM to the arrays of one tile")
ROUTER_FLIT = _move("router_flit", 20.74, 256, BY_ACCESS, node_nm=32, note="one of four tiles that share a router")
CHIP_LINK = _move("chip_link", 26.0, 128, BY_ACCESS, node_nm=65)
MESH_HOP_BIT = _move(
    "mesh_hop_bit", 3.0, 1, YAN, kind="marginal", node_nm=22, note="the figure its authors reason with"
)
SPIKE_HOP = _move("spike_hop", 2.3, 32, MEROLLA, kind="marginal", node_nm=28, note="TrueNorth: one spike, one router")
HYPERTRANSPORT = Cost(
    event="hypertransport",
    value=10.4,
    kind="static",
    device="ISAAC HyperTransport",
    source=ISAAC,
    evidence="model",
    part="network",
    scope="chip",
    node_nm=32,
    note="drawn whether or not data moves",
)
