"""Digital arithmetic: what one operation costs at the nodes for which a figure was published.

Enter an operation and a node; leaves a Cost. The sources differ: a 32 x 32 bit product is 3.1 pJ at 45 nm in one and
12.68 pJ at 40 nm in another. The ratio of a spiking accumulation to a multiply-accumulate is 5.1 in fp32 at 45 nm and
2.3 (8-bit product and 32-bit sum over a 32-bit sum: 3) in integers; name the widths when you use it.
"""

from ..energy import Cost
from ..errors import PriceError
from .scaling import COEFFICIENTS, scaled

HOROWITZ = (
    "Horowitz 2014, doi:10.1109/ISSCC.2014.6757323, as tabled by stillwater-sc/esim, energysim/database/energy.py"
)
JOUPPI_2021 = "Jouppi 2021, doi:10.1109/ISCA52012.2021.00010, Table 2"
TPU_V4I = "accelforge, examples/arches/tpu_v4i.yaml"
ALADDIN = "Aladdin at 40 nm, as tabled by hwcomponents-library, library/aladdin.py"
YAN = "Yan 2024, arXiv:2409.08290: synthesis at 22 nm, 0.8 V, 1 GHz"

_PICOJOULES = {  # (source, node in nm, volts): {operation: pJ}
    (HOROWITZ, 45, 0.9): {
        "int8_add": 0.03,
        "int16_add": 0.05,
        "int32_add": 0.1,
        "fp16_add": 0.4,
        "fp32_add": 0.9,
        "int8_multiply": 0.2,
        "int32_multiply": 3.1,
        "fp16_multiply": 1.1,
        "fp32_multiply": 3.7,
    },
    (JOUPPI_2021, 7, None): {
        "int32_add": 0.030,
        "int8_multiply": 0.070,
        "bf16_multiply": 0.210,
        "fp32_add": 0.380,
        "fp32_multiply": 1.310,
    },
    (TPU_V4I, 7, None): {"int8_mac": 0.084},
    (ALADDIN, 40, None): {
        "int32_add": 0.21,
        "int32_multiply": 12.68,
        "int32_compare": 0.029,
        "int32_count": 0.25,
        "register_bit": 0.009,
    },
    (YAN, 22, 0.8): {"accumulate": 0.05448, "compare": 0.05448, "subtract": 0.05448},
}


def _table() -> dict[tuple[str, float], Cost]:
    found = {}
    for (source, node, volts), rows in _PICOJOULES.items():
        for operation, picojoules in rows.items():
            digits = "".join(filter(str.isdigit, operation))
            found[operation, node] = Cost(
                event=operation,
                value=picojoules * 1e-12,
                kind="marginal",
                device=f"digital logic, {node} nm",
                source=source,
                evidence="model",
                part="compute",
                node_nm=node,
                voltage=volts,
                bits=int(digits) if digits else None,
                note="the operation alone: no registers, wires, memory or control",
            )
    return found


OPERATIONS = _table()  # (operation, node in nm) -> Cost


def operation_energy(operation: str, *, node_nm: float, allow_scaling: bool = False) -> Cost:
    """Price of one digital operation.

    Parameters
    ----------
    operation : str
        "int8_add", "fp32_multiply" ...: the first keys of `OPERATIONS`.
    node_nm : float
        Technology node.
    allow_scaling : bool
        When no figure was published at this node, scale one from the nearest node that has it (`components.scaled`);
        the price is then an estimate with a band of three times up and down.

    Raises
    ------
    PriceError
        No figure at this node and none may be scaled.
    """
    if (operation, node_nm) in OPERATIONS:
        return OPERATIONS[operation, node_nm]
    nodes = sorted(node for name, node in OPERATIONS if name == operation)
    if not nodes:
        names = ", ".join(sorted({name for name, _ in OPERATIONS}))
        raise PriceError(f"operation_energy: no price for '{operation}'; choose from {names}")
    usable = [node for node in nodes if node in COEFFICIENTS]
    if not (allow_scaling and usable and node_nm in COEFFICIENTS):
        known = ", ".join(f"{node:g} nm" for node in nodes)
        raise PriceError(
            f"operation_energy: '{operation}' has no figure at {node_nm:g} nm, only at {known}; use one of them, or "
            f"allow_scaling=True between {', '.join(f'{n:g}' for n in COEFFICIENTS)} nm"
        )
    nearest = min(usable, key=lambda node: max(node / node_nm, node_nm / node))
    return scaled(OPERATIONS[operation, nearest], node_nm=node_nm)
