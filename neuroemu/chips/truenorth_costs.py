"""Prices of TrueNorth: 4,096 cores, 28 nm, one synaptic event and the power without events.

Two published powers of one network at 0.8 V (68 mW at 11.58 Hz and 94 mW at 95.93 Hz, 128 active synapses) give a price
of an event and a power at rest. The third point of that figure, 71 mW at 20.07 Hz, is held out. The price holds all
that an event brings along: neuron updates, spikes and hops of that network, which have no separate price. Other supply
voltages follow one assumed law, events as the square and the power at rest as the cube of the voltage. The cube was
chosen with the point at 0.70 V in view (42 mW, an exponent of 3.2); the law is 3 % above it, 10 and 11 % below the
points at 0.75 and 0.775 V, and 11 % above that at 1.05 V. All figures were taken from quotations of the two papers.

References
----------
.. [1] P. A. Merolla et al., Science 345 (2014), doi:10.1126/science.1254642, and its supplement.
.. [2] F. Akopyan et al., IEEE TCAD 34 (2015), doi:10.1109/TCAD.2015.2474396.
"""

from dataclasses import dataclass

from .. import _checks
from ..energy import Cost, CostTable
from ..kernels.truenorth_reference import COUNT_NAMES

SOURCE = "Merolla 2014, doi:10.1126/science.1254642; Akopyan 2015, doi:10.1109/TCAD.2015.2474396"
CORES = 4096
NEURONS = CORES * 256
VOLTAGE = 0.8  # of the fit
TICK = 1e-3  # seconds [1]
PRICED = "synaptic_events"
INSIDE = "not published apart: inside the fitted price of a synaptic event"
NOT_INSIDE = {
    "merges": "a diagnostic: spikes that met another one",
    "saturations": "a diagnostic: potentials that left 20 bits",
    "chip_crossings": "not in the fit, which is of one chip",
}


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A published power: supply (V), mean rate of all neurons (Hz), active synapses a neuron, and watts."""

    voltage: float
    rate: float
    synapses: int
    watts: float

    @property
    def events(self) -> float:
        """Synaptic events a second."""
        return NEURONS * self.rate * self.synapses


FITTED = (
    OperatingPoint(voltage=0.8, rate=11.58, synapses=128, watts=68e-3),
    OperatingPoint(voltage=0.8, rate=95.93, synapses=128, watts=94e-3),
)
HELD_OUT = (
    OperatingPoint(voltage=0.8, rate=20.07, synapses=128, watts=71e-3),
    OperatingPoint(voltage=0.75, rate=20, synapses=128, watts=65e-3),
    OperatingPoint(voltage=0.775, rate=20, synapses=128, watts=72e-3),
    OperatingPoint(voltage=0.70, rate=0, synapses=0, watts=42e-3),
    OperatingPoint(voltage=1.05, rate=200, synapses=256, watts=323e-3),
)
_LOW, _HIGH = FITTED
EVENT = (_HIGH.watts - _LOW.watts) / (_HIGH.events - _LOW.events)  # 2.297 pJ
REST = _LOW.watts - EVENT * _LOW.events  # 64.43 mW

AVERAGE = Cost(  # for comparison: 72 mW over the events of that point; no marginal price, and refused beside REST
    event=PRICED, value=26e-12, kind="average", device="TrueNorth", source=SOURCE, evidence="silicon", part="chip",
    node_nm=28, voltage=0.775, note="at 20 Hz and 128 synapses; ten times the marginal price",
)  # fmt: skip


def power(events: float, *, voltage: float = VOLTAGE) -> float:
    """Watts of a chip at so many synaptic events a second: REST (V / 0.8)^3 + EVENT (V / 0.8)^2 events.

    Parameters
    ----------
    events : float, >= 0
    voltage : float
        Supply, 0.70 to 1.05 V (the published range). Other values than 0.8 V use the assumed law.
    """
    _checks.real(events, who="power", name="events", low=0)
    ratio = _checks.real(voltage, who="power", name="voltage", low=0.7, high=1.05) / VOLTAGE
    return REST * ratio**3 + EVENT * ratio**2 * events


def costs_at(voltage: float = VOLTAGE) -> CostTable:
    """Prices at a supply of 0.70 to 1.05 V, for the counts of `run_truenorth`; other than 0.8 V is marked assumed."""
    rest = power(0, voltage=voltage)
    event = power(1e9, voltage=voltage) - rest
    fitted = voltage == VOLTAGE
    fields = {
        "device": "TrueNorth", "source": SOURCE, "evidence": "fitted" if fitted else "assumed", "node_nm": 28,
        "voltage": voltage, "band": (0.9, 1.1) if fitted else (0.85, 1.15),  # published figures disagree by some 10 %
    }  # fmt: skip
    law = "" if fitted else "; scaled by the voltage, an assumed law"
    return CostTable(
        costs=(
            Cost(
                event=PRICED, value=event / 1e9, kind="marginal", part="synapse",
                note=f"neuron updates, spikes and hops of that network included{law}", **fields,
            ),
            Cost(
                event="static", value=rest, kind="static", part="chip", scope="chip", note=f"fit at 0 Hz{law}",
                **fields,
            ),
            Cost(
                event="static", value=rest / CORES, kind="static", part="chip", scope="core",
                note=f"the chip's share{law}", **fields,
            ),
        ),
        free={name: INSIDE for name in COUNT_NAMES if name not in (PRICED, *NOT_INSIDE)} | NOT_INSIDE,
        excludes=("links between chips and off the board", "host and board", "loading cores"),
    )  # fmt: skip


TRUENORTH_COSTS = costs_at()
