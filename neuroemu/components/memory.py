"""Memories: what one access costs, for the sizes and nodes for which a figure was published.

Each list holds Costs by access; divide by `bits` for joules a bit. Prices of one kind of memory differ by what they
hold: HBM2 is 3.97 pJ a bit at the DRAM, and 11.7 to 14.7 pJ a bit measured at the boards of four accelerators.
"""

from .. import _checks
from ..energy import Cost
from ..errors import PriceError

HOROWITZ = "Horowitz 2014, doi:10.1109/ISSCC.2014.6757323"
TPU_V4I = "accelforge, examples/arches/tpu_v4i.yaml"
HBM2 = "O'Connor 2017, doi:10.1145/3123939.3124545, as quoted"
BOARDS = "Benchmark-Driven Models for Energy Analysis, SC '25, Table 3, control and datapath, as quoted"
ISAAC = "Shafiee 2016, doi:10.1109/ISCA.2016.12, Table I, by access as in hwcomponents-library, library/isaac.py"
DEPTH_EXPONENT = 0.78  # CACTI, as in hwcomponents, scaling/scalefuncs.py: energy of an access ~ depth^0.78


def _access(event: str, picojoules: float, bits: int, source: str, **fields) -> Cost:
    fixed = {"kind": "marginal", "device": event, "part": "memory", "evidence": "model"}
    return Cost(event=event, value=picojoules * 1e-12, bits=bits, source=source, **(fixed | fields))


SRAM = {  # (bytes, node in nm): read of `bits`
    (8 * 2**10, 45): _access("sram_read", 10.0, 64, HOROWITZ, node_nm=45, voltage=0.9, note="cache of 8 KB"),
    (32 * 2**10, 45): _access("sram_read", 20.0, 64, HOROWITZ, node_nm=45, voltage=0.9, note="cache of 32 KB"),
    (4 * 2**20, 7): _access(
        "sram_read", 0.249, 1, TPU_V4I, node_nm=7, note="local buffer of 4 MB; a write is 0.293 pJ"
    ),
    (128 * 2**20, 7): _access("sram_read", 1.88, 1, TPU_V4I, node_nm=7, note="buffer of 128 MB; a write is 2.36 pJ"),
}
EDRAM = _access(
    "edram_access",
    20.45,
    256,
    ISAAC,
    device="ISAAC eDRAM",
    kind="average",
    node_nm=32,
    band=(1.0, 3.2),  # 0.64 pJ a byte here; 2.02 with ISAAC's own 1 KB in 100 ns: the activity is assumed
    note="64 KB",
)
DRAM = _access(
    "dram_access", 1500.0, 64, HOROWITZ, part="off_chip", band=(2 / 3, 4 / 3), note="1 to 2 nJ; the middle is ours"
)
HBM = {  # name: access of one bit
    "HBM2, DRAM side": _access(
        "hbm_bit", 3.97, 1, HBM2, band=(3.92 / 3.97, 1.0), note="HBM2 at the DRAM, activation and I/O included"
    ),
    "TPUv4i": _access("hbm_bit", 7.03, 1, TPU_V4I, part="off_chip", note="TPUv4i, main memory at 614 GB/s"),
    "A100": _access("hbm_bit", 13.11, 1, BOARDS, part="off_chip", evidence="silicon", note="A100"),
    "GH200": _access("hbm_bit", 11.68, 1, BOARDS, part="off_chip", evidence="silicon", note="GH200"),
    "MI250X": _access(
        "hbm_bit", 13.64, 1, BOARDS, part="off_chip", evidence="silicon", note="MI250X, one of its two dies"
    ),
    "MI300A": _access("hbm_bit", 14.72, 1, BOARDS, part="off_chip", evidence="silicon", note="MI300A"),
}


def sram_read(n_bytes: int, *, node_nm: float, allow_scaling: bool = False) -> Cost:
    """Price of reading an on-chip SRAM of `n_bytes`.

    Parameters
    ----------
    n_bytes : int, >= 1
    node_nm : float
    allow_scaling : bool
        When no figure was published for this size, take the nearest at this node times (n / n')^0.78, CACTI's law; the
        price is then an estimate with a band of three times up and down. Nodes are never scaled.

    Raises
    ------
    PriceError
        No figure at this node, or none of this size and none may be scaled.
    """
    _checks.integer(n_bytes, who="sram_read", name="n_bytes", low=1)
    if (n_bytes, node_nm) in SRAM:
        return SRAM[n_bytes, node_nm]
    sizes = [size for size, node in SRAM if node == node_nm]
    if not sizes:
        nodes = ", ".join(f"{node:g}" for node in sorted({node for _, node in SRAM}))
        raise PriceError(f"sram_read: no figure at {node_nm:g} nm; choose from {nodes} nm, memories do not scale so")
    if not allow_scaling:
        raise PriceError(
            f"sram_read: no figure for {n_bytes:,} bytes at {node_nm:g} nm, only for "
            f"{', '.join(f'{size:,}' for size in sizes)}; use one of them, or allow_scaling=True"
        )
    nearest = min(sizes, key=lambda size: max(size / n_bytes, n_bytes / size))
    known = SRAM[nearest, node_nm]
    factor = (n_bytes / nearest) ** DEPTH_EXPONENT
    return _access(
        "sram_read",
        known.value * 1e12 * factor,
        known.bits,
        known.source,
        node_nm=node_nm,
        voltage=known.voltage,
        evidence="estimate",
        band=(1 / 3, 3.0),
        note=f"from {nearest:,} bytes by {factor:.3g} = (n / n')^{DEPTH_EXPONENT}, CACTI",
    )
