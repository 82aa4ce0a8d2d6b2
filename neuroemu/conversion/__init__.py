"""What became of a network that was made spiking: `conversion_report`."""

from .report import ConversionReport, LayerConversion, conversion_report

__all__ = ["ConversionReport", "LayerConversion", "conversion_report"]
