"""The heat of crossbar cells: counted in attojoules by the array that made the outputs, so its price is 1.

Put `CELL_HEAT` into the table of a chip whose other prices do not hold the array.
"""

from ..energy import Cost

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
