"""Scaling of digital energies between technology nodes: a fallback, three times up or down uncertain.

Enter a price of digital logic at one node; leaves the same price at another, marked as an estimate. The law is

    E(Y, V_Y) / E(X, V_X) = (a_Y V_Y^2 + b_Y V_Y + c_Y) / (a_X V_X^2 + b_X V_X + c_X)

of A. Stillmaker and B. Baas, Integration 58, 74 (2017), doi:10.1016/j.vlsi.2017.02.002. Prices published for a node
are always better: scaled from 45 nm, an 8-bit multiply-accumulate at 7 nm would cost 0.023 pJ, and its published parts
cost 0.10. Memories, converters and links do not follow this law.
"""

from dataclasses import replace

from .. import _checks
from ..energy import Cost
from ..errors import PriceError

SOURCE = "Stillmaker 2017, doi:10.1016/j.vlsi.2017.02.002; coefficients as in hwcomponents, scaling/techscaling.py"
BAND = (1 / 3, 3.0)  # spread met at 7 nm, 4.3 times; ours
COEFFICIENTS = {  # node (nm): a, b, c of SOURCE
    130: (7.171, -6.709, 2.904),
    90: (4.762, -4.781, 2.092),
    65: (3.755, -4.398, 1.975),
    45: (1.103, -0.362, 0.2767),
    32: (0.9559, -0.7823, 0.471),
    20: (0.373, -0.1582, 0.04104),
    16: (0.2958, -0.1241, 0.03024),
    14: (0.2363, -0.09675, 0.02239),
    10: (0.2068, -0.09311, 0.02375),
    7: (0.1776, -0.09097, 0.02447),
}


def energy_factor(from_nm: float, to_nm: float, *, from_volts: float = 0.8, to_volts: float = 0.8) -> float:
    """E(to_nm, to_volts) / E(from_nm, from_volts) of digital logic.

    Parameters
    ----------
    from_nm, to_nm : {130, 90, 65, 45, 32, 20, 16, 14, 10, 7}
    from_volts, to_volts : float, 0.5 to 1.3 V
        Supplies; 0.8 V for both leaves the change of voltage out.

    Raises
    ------
    InputError
        A node is not in the table; nothing is interpolated.
    """
    return _shape(to_nm, to_volts, "to") / _shape(from_nm, from_volts, "from")


def scaled(cost: Cost, *, node_nm: float) -> Cost:
    """`cost` of digital logic at another node: an estimate whose band is three times wider in both directions.

    Raises
    ------
    PriceError
        The price has no node, or is not one of digital logic ("compute").
    """
    _checks.instance(cost, Cost, who="scaled", name="cost")
    if cost.node_nm is None or cost.part != "compute" or cost.unit != "J":
        raise PriceError(
            f"scaled: '{cost.event}' ({cost.part}, node {cost.node_nm}) is no energy of digital logic at a known node; "
            "look for a price published at the node"
        )
    if node_nm == cost.node_nm:
        return cost
    factor = energy_factor(cost.node_nm, node_nm)
    low, high = cost.band
    return replace(
        cost,
        value=cost.value * factor,
        evidence="estimate",
        band=(low * BAND[0], high * BAND[1]),
        node_nm=node_nm,
        voltage=None,
        note=f"scaled from {cost.node_nm:g} nm by {factor:.3g}; {SOURCE}. {cost.note}".strip(),
    )


VOLTAGE_BAND = (0.4, 1.2)  # measured over V^2, four macros from one supply to others: 0.45 to 1.08; validation V14


def at_voltage(cost: Cost, volts: float) -> Cost:
    """A price per event at another supply, E ~ V^2: an estimate, whose band holds what four macros were found to do.

    Parameters
    ----------
    cost : Cost
        Joules per event, with its voltage.
    volts : float, 0.5 to 1.3 V

    Raises
    ------
    PriceError
        The price has no voltage, or is a power at rest, which follows another law.
    """
    _checks.instance(cost, Cost, who="at_voltage", name="cost")
    volts = _checks.real(volts, who="at_voltage", name="volts", low=0.5, high=1.3)
    if cost.voltage is None or cost.unit != "J":
        raise PriceError(
            f"at_voltage: '{cost.event}' ({cost.kind}, {cost.voltage} V) is no energy at a known voltage; power at "
            "rest follows no square"
        )
    if volts == cost.voltage:
        return cost
    factor, (low, high) = (volts / cost.voltage) ** 2, cost.band
    return replace(
        cost,
        value=cost.value * factor,
        evidence="estimate",
        band=(low * VOLTAGE_BAND[0], high * VOLTAGE_BAND[1]),
        voltage=volts,
        note=f"from {cost.voltage:g} V by {factor:.3g} = (V / V')^2. {cost.note}".strip(),
    )


def _shape(node_nm: float, volts: float, name: str) -> float:
    _checks.choice(node_nm, tuple(COEFFICIENTS), who="energy_factor", name=f"{name}_nm")
    volts = _checks.real(volts, who="energy_factor", name=f"{name}_volts", low=0.5, high=1.3)
    a, b, c = COEFFICIENTS[node_nm]
    return a * volts**2 + b * volts + c
