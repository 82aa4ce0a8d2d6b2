"""Analog crossbars: weights become conductances on tiles, codes become voltages, column currents become codes."""

from .chip import CrossbarChip, ideal
from .converters import Adc, Dac
from .oracle import read_per_device

__all__ = ["Adc", "CrossbarChip", "Dac", "ideal", "read_per_device"]
