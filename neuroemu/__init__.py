"""neuroemu: one quantized network on analog crossbars, spiking cores and digital baselines, side by side.

net = load("model.onnx")
q = quantize(net, weight_bits=8, activation_bits=8, samples=x_train)
results = [run(q, chips.HERMES, x, labels=y), run(to_spiking(q, steps=32, samples=x_train), chips.LOIHI, x, labels=y)]
print(compare(results))
"""

__version__ = "0.1.0"

from . import chips, components, crossbar, datasets, devices, digital, errors, network, spiking, validation
from .ageing import ageing
from .comparison import Comparison, compare
from .network import Network, load, run_float, run_integer, run_spiking, save
from .placement import Placement, place, run
from .result import Result, chip_yield
from .sweeps import Sweep, sweep
from .transform import (
    AveragePooling,
    Entropy,
    MaxBalance,
    MinMax,
    Mse,
    MseBalance,
    OrPooling,
    Percentile,
    PercentileBalance,
    QcfsBalance,
    calibrate,
    equalize,
    fold,
    layer_pairs,
    prune,
    quantize,
    to_spiking,
)
from .versions import show_versions

__all__ = [
    "AveragePooling",
    "Comparison",
    "Entropy",
    "MaxBalance",
    "MinMax",
    "Mse",
    "MseBalance",
    "Network",
    "OrPooling",
    "Percentile",
    "PercentileBalance",
    "Placement",
    "QcfsBalance",
    "Result",
    "Sweep",
    "ageing",
    "calibrate",
    "chip_yield",
    "chips",
    "compare",
    "components",
    "crossbar",
    "datasets",
    "devices",
    "digital",
    "equalize",
    "errors",
    "fold",
    "layer_pairs",
    "load",
    "network",
    "place",
    "plot",
    "prune",
    "quantize",
    "run",
    "run_float",
    "run_integer",
    "run_spiking",
    "save",
    "show_versions",
    "spiking",
    "sweep",
    "to_spiking",
    "validation",
]


def __getattr__(name):
    if name == "plot":  # matplotlib loads on first use
        import importlib

        return importlib.import_module(".plot", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
