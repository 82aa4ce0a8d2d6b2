"""The layers a network is made of: frozen descriptions, no arithmetic.

Arrays are batch first, images NCHW, convolution kernels (O, I/groups, kH, kW), dense kernels (out, in). A layer names
the tensors it reads in `inputs`; the tensor it writes carries its own name. "input" is the network's input.

In a float network `weight` and `bias` are float32 and `weight_grid` is None. In a quantized network `weight` holds
int8 codes on `weight_grid`, and `bias` int32 codes on the grid of the accumulator (input scale x weight scale).
"""

from abc import ABC
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError
from . import _fields
from .grids import Grid

Padding = tuple[tuple[int, int], tuple[int, int]]  # ((top, bottom), (left, right))

# Registers of spiking layers, as on Loihi (Davies 2018, doi:10.1109/MM.2018.112130359).
RESETS = ("zero", "subtract")
CODINGS = ("direct", "poisson", "spikes")
POTENTIAL_UNIT = 64  # thresholds and input codes count in steps of 2^6 potential units
THRESHOLD_MANTISSA = (1 << 17) - 1
BIAS_MANTISSA, BIAS_EXPONENT = 4095, 7
VOLTAGE_MAX = (1 << 23) - 1  # of a potential, either sign


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer(ABC):
    """Abstract: a named operation on named tensors."""

    name: str
    inputs: tuple[str, ...] = ()  # empty: the layer before it in the list, or "input"


@dataclass(frozen=True, eq=False, kw_only=True)
class Weighted(Layer):
    """Abstract: a layer with a kernel and a bias, the part of a network that a crossbar or a core holds."""

    weight: np.ndarray
    bias: np.ndarray | None = None
    weight_grid: Grid | None = None

    @property
    def in_groups(self) -> bool:
        """Whether groups of inputs have weight steps of their own."""
        return self.weight_grid is not None and self.weight_grid.factors is not None

    @property
    def weight_steps(self) -> np.ndarray:
        """Weights in steps of the accumulator, int32: codes, times the factors of their groups if there are any."""
        return self.weight.astype(np.int32) * self.weight_grid.multiples(self.weight.shape)

    def _own(self, ndim: int):
        """Check the arrays and keep read-only copies."""
        who = f"{type(self).__name__} '{self.name}'"
        dtype, bias_dtype = (np.float32, np.float32) if self.weight_grid is None else (np.int8, np.int32)
        if self.weight_grid is not None:
            _fields.require_codes(who, "weight", self.weight, dtype)
            if self.bias is not None:
                _fields.require_codes(who, "bias", self.bias, bias_dtype)
        weight = _checks.finite_array(self.weight, who=who, name="weight", dtype=dtype, ndim=ndim).copy()
        if 0 in weight.shape:
            raise InputError(f"{who}: weight has shape {weight.shape}; it must not be empty")
        if self.weight_grid is not None:
            _fields.check_weight_grid(who, weight, self.weight_grid)
        weight.flags.writeable = False
        object.__setattr__(self, "weight", weight)
        if self.bias is not None:
            bias = _checks.finite_array(self.bias, who=who, name="bias", dtype=bias_dtype, ndim=1).copy()
            if bias.shape != (weight.shape[0],):
                raise InputError(
                    f"{who}: bias has shape {bias.shape}; weight {weight.shape} needs ({weight.shape[0]},)"
                )
            bias.flags.writeable = False
            object.__setattr__(self, "bias", bias)


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense(Weighted):
    """y = x W^T + b over the last axis; weight (out, in)."""

    def __post_init__(self):
        self._own(2)


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2d(Weighted):
    """Cross-correlation of (C, H, W) with weight (O, I/groups, kH, kW); zero padding."""

    stride: tuple[int, int] = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self):
        self._own(4)
        who = f"Conv2d '{self.name}'"
        object.__setattr__(self, "stride", _fields.pair(self.stride, who, "stride", low=1))
        object.__setattr__(self, "dilation", _fields.pair(self.dilation, who, "dilation", low=1))
        object.__setattr__(self, "padding", _fields.padding(self.padding, who))
        groups = _checks.integer(self.groups, who=who, name="groups", low=1, high=self.weight.shape[0])
        if self.weight.shape[0] % groups:
            raise InputError(f"{who}: {self.weight.shape[0]} output channels do not divide into {groups} groups")


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool2d(Layer):
    """Abstract: a window that slides over (H, W)."""

    size: tuple[int, int]
    stride: tuple[int, int] | None = None  # None: the size of the window
    padding: Padding = ((0, 0), (0, 0))

    def __post_init__(self):
        who = f"{type(self).__name__} '{self.name}'"
        object.__setattr__(self, "size", _fields.pair(self.size, who, "size", low=1))
        stride = self.size if self.stride is None else self.stride
        object.__setattr__(self, "stride", _fields.pair(stride, who, "stride", low=1))
        object.__setattr__(self, "padding", _fields.padding(self.padding, who))
        (top, bottom), (left, right) = self.padding
        if max(top, bottom) >= self.size[0] or max(left, right) >= self.size[1]:
            raise InputError(
                f"{who}: padding {self.padding} reaches the window {self.size}; some windows would be empty"
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool2d(Pool2d):
    """Largest value of each window; padding never wins."""


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePool2d(Pool2d):
    """Mean of each window; `count_padding` says whether padded positions count in the divisor."""

    count_padding: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class SumPool2d(Pool2d):
    """Sum of each window: spikes that arrive in it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class GlobalAveragePool(Layer):
    """Mean over (H, W): (C, H, W) -> (C, 1, 1), or (C,) without `keep_dims`."""

    keep_dims: bool = True


@dataclass(frozen=True, eq=False, kw_only=True)
class Flatten(Layer):
    """(C, H, W) -> (C*H*W,)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(Layer):
    """New shape without the batch axis; one entry may be -1."""

    shape: tuple[int, ...]

    def __post_init__(self):
        who = f"Reshape '{self.name}'"
        object.__setattr__(self, "shape", _fields.integers(self.shape, who, "shape", low=-1))


@dataclass(frozen=True, eq=False, kw_only=True)
class Transpose(Layer):
    """Permutes the axes that follow the batch axis; `axes` counts them from 0."""

    axes: tuple[int, ...]

    def __post_init__(self):
        object.__setattr__(self, "axes", _fields.integers(self.axes, f"Transpose '{self.name}'", "axes", low=0))


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Layer):
    """Elementwise sum of two tensors of the same shape."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Layer):
    """Joins tensors along `axis`, counted from 0 after the batch axis."""

    axis: int = 0

    def __post_init__(self):
        _checks.integer(self.axis, who=f"Concat '{self.name}'", name="axis", low=0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Clip(Layer):
    """min(max(x, low), high). ReLU is Clip(low=0), ReLU6 is Clip(low=0, high=6)."""

    low: float = -np.inf
    high: float = np.inf

    def __post_init__(self):
        for field in ("low", "high"):
            if not np.isinf(_fields.number(getattr(self, field), f"Clip '{self.name}'", field)):
                _checks.real(getattr(self, field), who=f"Clip '{self.name}'", name=field)
        if self.low >= self.high:
            raise InputError(f"Clip '{self.name}': low {self.low} must be below high {self.high}")


def relu(*, name: str, inputs: tuple[str, ...] = ()) -> Clip:
    """max(x, 0)."""
    return Clip(name=name, inputs=inputs, low=0.0)


def relu6(*, name: str, inputs: tuple[str, ...] = ()) -> Clip:
    """min(max(x, 0), 6)."""
    return Clip(name=name, inputs=inputs, low=0.0, high=6.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(Layer):
    """exp(x) / sum(exp(x)) over the last axis."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scale(Layer):
    """x * scale + offset; each a number, or one per channel (axis 0 after the batch). Pixels are scaled by one."""

    scale: float | np.ndarray = 1.0
    offset: float | np.ndarray = 0.0

    def __post_init__(self):
        for field in ("scale", "offset"):
            array = _checks.finite_array(getattr(self, field), who=f"Scale '{self.name}'", name=field)
            if array.ndim > 1:
                raise InputError(
                    f"Scale '{self.name}': {field} has shape {array.shape}; give a number or one per channel"
                )
            array.flags.writeable = False
            object.__setattr__(self, field, array)


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchNorm(Layer):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta per channel (axis 0 after the batch); `fold` removes it."""

    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    epsilon: float = 1e-5

    def __post_init__(self):
        who = f"BatchNorm '{self.name}'"
        shapes = set()
        for field in ("gamma", "beta", "mean", "variance"):
            array = _checks.finite_array(getattr(self, field), who=who, name=field, ndim=1).copy()
            array.flags.writeable = False
            object.__setattr__(self, field, array)
            shapes.add(array.shape)
        if len(shapes) != 1:
            raise InputError(f"{who}: gamma, beta, mean and variance have shapes {sorted(shapes)}; they must agree")
        if (self.variance + self.epsilon <= 0).any():
            raise InputError(f"{who}: variance + epsilon must be positive")

    def as_scale(self) -> tuple[np.ndarray, np.ndarray]:
        """(factor, offset) per channel, float64, with y = factor * x + offset."""
        factor = self.gamma.astype(np.float64) / np.sqrt(self.variance.astype(np.float64) + self.epsilon)
        return factor, self.beta - factor * self.mean


@dataclass(frozen=True, eq=False, kw_only=True)
class Encode(Layer):
    """Input codes to spikes, the first layer of a spiking network.

    "direct": an integrate-and-fire compartment per input, driven by its bias: v += code * 64 each step, spike when
    v > threshold. "poisson": an independent spike each step with probability code / code_max. "spikes": the input is a
    spike train of zeros and ones already, (steps, ...) without the batch axis, and enters as it is; the first axis of
    `input_shape` is then the steps, and the tensor that this layer writes has the other axes.
    """

    coding: str
    code_max: int | None = None  # needed but for "spikes", whose codes are 0 and 1
    threshold: int | None = None  # likewise; potential units of 1/64 input code, a multiple of 64; unused by "poisson"
    initial_voltage: int = 0
    reset: str = "zero"
    refractory: int = 1  # smallest distance of two spikes in steps

    def __post_init__(self):
        who = f"Encode '{self.name}'"
        _checks.choice(self.coding, CODINGS, who=who, name="coding")
        _checks.choice(self.reset, RESETS, who=who, name="reset")
        _checks.integer(self.refractory, who=who, name="refractory", low=1, high=64)
        if self.coding == "spikes":
            object.__setattr__(self, "code_max", 1 if self.code_max is None else self.code_max)
            object.__setattr__(self, "threshold", POTENTIAL_UNIT if self.threshold is None else self.threshold)
        _checks.integer(self.code_max, who=who, name="code_max", low=1, high=BIAS_MANTISSA)
        _checks.integer(self.threshold, who=who, name="threshold", low=1, high=VOLTAGE_MAX)
        _checks.integer(self.initial_voltage, who=who, name="initial_voltage", low=-VOLTAGE_MAX, high=VOLTAGE_MAX)


@dataclass(frozen=True, eq=False, kw_only=True)
class Lif(Layer):
    """Leaky integrate-and-fire neurons in integers; the step is that of `spiking.arithmetic`.

    u(t) = decay(u(t-1), current_decay) + (W s(t)) << weight_shift;  v(t) = decay(v(t-1), voltage_decay) + u(t) + bias
    and a spike where v(t) > threshold. `threshold` None never spikes: the final potential is the output.
    """

    threshold: int | None
    bias: np.ndarray | int = 0  # int32, one per channel, in units of the potential, added each step
    weight_shift: int = 7
    current_decay: int = 4095  # register; the chip adds 1: 4095 keeps nothing of the last step's current
    voltage_decay: int = 0
    refractory: int = 1
    initial_voltage: int = 0
    reset: str = "zero"
    scale: float = 1.0  # real value of one unit of the potential; decodes the output

    def __post_init__(self):
        who = f"Lif '{self.name}'"
        _checks.choice(self.reset, RESETS, who=who, name="reset")
        if self.threshold is not None:
            _checks.integer(self.threshold, who=who, name="threshold", low=1, high=VOLTAGE_MAX)
        for field, low, high in (
            ("weight_shift", 0, 20),
            ("current_decay", 0, 4095),
            ("voltage_decay", 0, 4096),
            ("refractory", 1, 64),
            ("initial_voltage", -VOLTAGE_MAX, VOLTAGE_MAX),
        ):
            _checks.integer(getattr(self, field), who=who, name=field, low=low, high=high)
        _checks.real(self.scale, who=who, name="scale")
        bias = np.atleast_1d(_checks.finite_array(self.bias, who=who, name="bias", dtype=np.float64))
        if bias.ndim > 1 or (bias != np.rint(bias)).any() or np.abs(bias).max(initial=0) > VOLTAGE_MAX:
            raise InputError(f"{who}: bias must be whole numbers within +-{VOLTAGE_MAX}, one or one per channel")
        bias = bias.astype(np.int32)
        bias.flags.writeable = False
        object.__setattr__(self, "bias", bias)
