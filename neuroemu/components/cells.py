"""Cells of crossbars: the heat of reading them, and what a write takes.

Heat is counted in attojoules by the array that made the outputs, so its price is 1: put `CELL_HEAT` into the table of a
chip whose other prices do not hold the array.

Writes are those of cells of digital memories, one pulse each. No published chip of analog cells states the energy of a
write; its cells take several pulses and reads to reach a level (`devices.WriteVerified` counts the pulses). Put one
into a chip's table with ``chip.costs.with_costs(PCM_WRITE)``; it is then an assumption of yours.
"""

from ..energy import Cost

NVSIM = "NVSim, github.com/SEAL-UCSB/NVSim"
LEE = "Lee 2009 (ISCA; CACM 2010, doi:10.1145/1785414.1785441), as quoted"

CELL_HEAT = Cost(
    event="array_attojoule",
    value=1e-18,
    kind="marginal",
    device="crossbar cells",
    source="Joule heating, V^2 G t of each cell, with the conductances and drives of the run",
    evidence="model",
    part="array",
    note="without wires, selectors, drivers and the charging of lines",
)


def _write(joules: float, device: str, source: str, band: tuple[float, float], **fields) -> Cost:
    return Cost(
        event="cell_write", value=joules, kind="marginal", device=device, source=source, evidence="model",
        part="writing", band=band, **fields,
    )  # fmt: skip


PCM_WRITE = _write(
    19.2e-12, "phase-change cell", f"{LEE}: RESET 19.2 pJ, SET 13.5 pJ; {NVSIM}, sample_PCRAM.cell (300 uA for 40 ns)",
    (13.5 / 19.2, 1.0), node_nm=90, bits=1, note="one RESET pulse of a binary cell; without drivers and verify reads",
)  # fmt: skip
RRAM_WRITE = _write(
    0.6e-12, "resistive cell", f"{NVSIM}, sample_RRAM.cell: 0.6 pJ for SET and RESET, 2 V for 10 ns", (1.0, 1.0),
    bits=1, note="one pulse of a binary cell; without drivers and verify reads",
)  # fmt: skip
