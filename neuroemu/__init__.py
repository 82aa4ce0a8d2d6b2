"""neuroemu: one quantized network on analog crossbars, spiking cores and digital baselines, side by side.

net = load("model.onnx")
q = quantize(net, weight_bits=8, activation_bits=8, samples=x_train)
results = [run(q, chips.HERMES, x, labels=y), run(to_spiking(q, steps=32, samples=x_train), chips.LOIHI, x, labels=y)]
print(compare(results))
"""

__version__ = "0.1.0"

from . import chips, components, crossbar, crosswalk, datasets, devices, digital, errors, network, spiking, validation
from .ageing import ageing, refresh_time
from .area import Area
from .comparison import Comparison, compare
from .conversion import ConversionReport, LayerConversion, conversion_report
from .dynamic import DynamicProduct, attention, dynamic_product
from .even import BreakEven, break_even
from .fairness import Unfair, unfair
from .measuring import Measured, measure_baseline
from .network import Network, from_torch, load, run_float, run_integer, run_spiking, save
from .pipeline import Pipeline
from .placement import Placement, place, run
from .result import Result, chip_yield
from .spiking import (
    StopWhenSure,
    calibrate_stop,
    check_range,
    check_shift,
    core_report,
    steps_curve,
    to_brian2,
    to_integer_core,
)
from .sweeps import Sweep, sweep
from .transform import (
    AdaRound,
    AveragePooling,
    Blocks,
    Channels,
    Contribution,
    Entropy,
    Gptq,
    Groups,
    LeastSquares,
    Magnitude,
    MaxBalance,
    MinMax,
    Mse,
    MseBalance,
    Nearest,
    OrPooling,
    Percentile,
    PercentileBalance,
    QcfsBalance,
    Rows,
    Weights,
    calibrate,
    equalize,
    fold,
    freed,
    group_channels,
    layer_pairs,
    matched_baseline,
    prune,
    quantize,
    to_graded,
    to_sigma_delta,
    to_spiking,
    to_truenorth,
)
from .usage import Usage
from .versions import show_versions
from .writing import Writing

__all__ = [
    "AdaRound",
    "Area",
    "AveragePooling",
    "Blocks",
    "BreakEven",
    "Channels",
    "Comparison",
    "Contribution",
    "ConversionReport",
    "DynamicProduct",
    "Entropy",
    "Gptq",
    "Groups",
    "LayerConversion",
    "LeastSquares",
    "Magnitude",
    "MaxBalance",
    "Measured",
    "MinMax",
    "Mse",
    "MseBalance",
    "Nearest",
    "Network",
    "OrPooling",
    "Percentile",
    "PercentileBalance",
    "Pipeline",
    "Placement",
    "QcfsBalance",
    "Result",
    "Rows",
    "StopWhenSure",
    "Sweep",
    "Unfair",
    "Usage",
    "Weights",
    "Writing",
    "ageing",
    "attention",
    "break_even",
    "calibrate",
    "calibrate_stop",
    "check_range",
    "check_shift",
    "chip_yield",
    "chips",
    "compare",
    "components",
    "conversion_report",
    "core_report",
    "crossbar",
    "crosswalk",
    "datasets",
    "devices",
    "digital",
    "dynamic_product",
    "equalize",
    "errors",
    "fold",
    "freed",
    "from_torch",
    "group_channels",
    "layer_pairs",
    "load",
    "matched_baseline",
    "measure_baseline",
    "network",
    "place",
    "plot",
    "prune",
    "quantize",
    "refresh_time",
    "run",
    "run_float",
    "run_integer",
    "run_spiking",
    "save",
    "show_versions",
    "spiking",
    "steps_curve",
    "sweep",
    "to_brian2",
    "to_graded",
    "to_integer_core",
    "to_sigma_delta",
    "to_spiking",
    "to_truenorth",
    "unfair",
    "validation",
]


def __getattr__(name):
    if name == "plot":  # matplotlib loads on first use
        import importlib

        return importlib.import_module(".plot", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
