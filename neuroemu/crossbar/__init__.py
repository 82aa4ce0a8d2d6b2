"""Analog crossbars: weights become conductances on tiles, codes become voltages, column currents become codes."""

from .chip import CrossbarChip
from .converters import Adc, Dac
from .oracle import read_per_device

__all__ = ["Adc", "CrossbarChip", "Dac", "read_per_device"]
