"""Averaged: several devices in parallel for each cell of another mapping. Codes enter, that mapping's Layout leaves."""

from dataclasses import dataclass, field

from .. import _checks
from ..errors import InputError
from .cells import CellMapping, DifferentialPair


@dataclass(frozen=True)
class Averaged(CellMapping):
    """Several devices in parallel for each cell of another mapping; errors fall by sqrt(devices), currents add up.

    Parameters
    ----------
    devices : int, 2 to 64
        Each is programmed to the same target and drawn on its own.
    mapping : CellMapping
        What the parallel devices stand in for; not Averaged itself.

    Notes
    -----
    The devices share one crossing, so tiles and counts stay those of `mapping`. Errors that all devices have alike, as
    the mean drift of their level, do not average away.
    """

    devices: int
    mapping: CellMapping = field(default=DifferentialPair())

    def __post_init__(self):
        _checks.integer(self.devices, who="Averaged", name="devices", low=2, high=64)
        _checks.instance(self.mapping, CellMapping, who="Averaged", name="mapping")
        if isinstance(self.mapping, Averaged):
            raise InputError("Averaged: mapping is Averaged too; give one with the product of both device counts")

    @property
    def one_signed(self):
        return self.mapping.one_signed

    @property
    def copies(self):
        return self.devices

    @property
    def in_turn(self):
        return self.mapping.in_turn

    def top(self, largest):
        return self.mapping.top(largest)

    def layout(self, codes, largest, device, columns):
        return self.mapping.layout(codes, largest, device, columns)

    def targets(self, levels, top, device):
        return self.mapping.targets(levels, top, device)
