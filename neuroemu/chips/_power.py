"""Prices of processors of which only rates and powers are published: what an operation takes at the peak rate.

With an idle power, an operation takes (rated - idle) / peak on top of it; without one, rated / peak is an average that
holds the idle share at the peak rate only, so that it flatters the processor at any lower load. Either assumes that the
rated power is drawn at the peak rate. Bands end at the same power at a tenth of the peak rate, which is assumed.
"""

from ..energy import Cost

SLOWEST = 10.0  # assumed: programs reach a tenth of the peak rate at least
NAMES = {8: "op_int8", 16: "op_fp16", 32: "op_fp32"}


def idle(
    device: str, watts: float, *, band, source: str, node_nm: float, note: str, scope: str = "chip",
    evidence: str = "estimate",
) -> Cost:  # fmt: skip
    """Static power of a card with a loaded model, or of the whole board."""
    return Cost(
        event="idle", value=watts, kind="static", device=device, source=source, evidence=evidence, part="chip",
        scope=scope, band=band, node_nm=node_nm, note=note,
    )  # fmt: skip


def operations(
    device: str, peaks, *, rated: float, idle_watts: float, source: str, node_nm: float, least: float = 1.0
) -> tuple[Cost, ...]:
    """A price for each width of `peaks` (bits -> operations/s): average without an idle power, marginal with one.

    `least` is the low end of the band.
    """
    watts = rated - idle_watts
    kind, words = ("marginal", "rated less idle power") if idle_watts else ("average", "rated power")
    fixed = {"kind": kind, "device": device, "source": f"{source}: {words} at the peak rate", "evidence": "fitted"}
    fixed |= {
        "part": "compute" if idle_watts else "chip",
        "band": (least, SLOWEST),
        "node_nm": node_nm,
        "ops_per_mac": 2,
    }
    note = "favours the processor at any lower load"
    return tuple(
        Cost(event=NAMES[bits], value=watts / peak, bits=bits, note=note, **fixed) for bits, peak in peaks.items()
    )


FREE = {
    "kernel_launch": "not published; its time is charged at idle power where there is one",
    "host_byte": "not published; its time is charged at idle power where there is one",
}
IN_OPERATIONS = {"memory_byte": "not published apart: the rated power at the peak rate holds memory"}
