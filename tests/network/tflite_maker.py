"""Writes small TFLite files for tests, float or full int8, with one method an operator."""

import flatbuffers
import numpy as np
import tflite

FLOAT, INT32, INT8 = tflite.TensorType.FLOAT32, tflite.TensorType.INT32, tflite.TensorType.INT8
UINT8 = tflite.TensorType.UINT8
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
SAME, VALID = 0, 1
# Lowest operator versions with int8 kernels and the options used here.
VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 5, "ADD": 2, "SUB": 2, "MUL": 2,
            "AVERAGE_POOL_2D": 2, "MAX_POOL_2D": 2, "CONCATENATION": 2, "SOFTMAX": 2, "MEAN": 2, "PAD": 2, "RELU": 2,
            "RELU6": 2, "TRANSPOSE": 2, "SQUEEZE": 1, "QUANTIZE": 2, "DEQUANTIZE": 2}  # fmt: skip


class Maker:
    """Operators in a row; each method returns the index of the tensor it writes."""

    def __init__(self, rng, *, quantized):
        self.rng, self.quantized = rng, quantized
        self.tensors, self.operators = [], []

    # -- tensors

    def tensor(self, shape, *, kind=None, data=None, scale=None, zero=0, axis=0):
        kind = (INT8 if self.quantized else FLOAT) if kind is None else kind
        self.tensors.append(
            {"shape": tuple(shape), "kind": kind, "data": data, "scale": scale, "zero": zero, "axis": axis}
        )
        return len(self.tensors) - 1

    def activation(self, shape, scale=None, zero=None):
        """An activation; on a random grid in a quantized file."""
        if not self.quantized:
            return self.tensor(shape)
        scale = float(self.rng.uniform(0.02, 0.2)) if scale is None else scale
        return self.tensor(shape, scale=[scale], zero=int(self.rng.integers(-128, 100)) if zero is None else zero)

    def constant(self, values, kind=INT32):
        values = np.asarray(values, np.int32 if kind == INT32 else np.float32)
        return self.tensor(values.shape, kind=kind, data=values)

    def shape(self, index):
        return self.tensors[index]["shape"]

    def operator(self, code, inputs, output, options=None):
        self.operators.append((code, inputs, [output], options))
        return output

    def weights(self, shape, channels, axis, source, fan, *, per_channel=True):
        """Indices of (weight, bias) and a sensible output step."""
        rng = self.rng
        if not self.quantized:
            weight = (rng.normal(size=shape) / np.sqrt(fan)).astype(np.float32)
            bias = rng.normal(size=channels).astype(np.float32)
            return self.tensor(shape, kind=FLOAT, data=weight), self.tensor((channels,), kind=FLOAT, data=bias), None
        scale = rng.uniform(0.001, 0.01, channels if per_channel else 1).astype(np.float32)
        step = np.float32(self.tensors[source]["scale"][0])
        weight = self.tensor(shape, data=rng.integers(-127, 128, shape).astype(np.int8), scale=scale, axis=axis)
        codes = rng.integers(-3000, 3000, channels).astype(np.int32)
        bias = self.tensor((channels,), kind=INT32, data=codes, scale=scale * step, zero=0)
        return weight, bias, float(step * scale.mean() * 73 * 74 * np.sqrt(fan) / 60)

    # -- operators

    def _size(self, size, window, stride, padding, dilation=(1, 1)):
        out = []
        for n, w, s, d in zip(size, window, stride, dilation, strict=True):
            out.append(-(-n // s) if padding == SAME else (n - (w - 1) * d - 1) // s + 1)
        return tuple(out)

    def conv(self, x, channels, window, stride=(1, 1), padding=SAME, dilation=(1, 1), act=NONE, groups=1, **kwargs):
        n, h, w, c = self.shape(x)
        fan = window[0] * window[1] * c // groups
        weight, bias, step = self.weights((channels, *window, c // groups), channels, 0, x, fan, **kwargs)
        y = self.activation((n, *self._size((h, w), window, stride, padding, dilation), channels), step)
        fields = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1], "DilationHFactor": dilation[0],
                  "DilationWFactor": dilation[1], "FusedActivationFunction": act}  # fmt: skip
        return self.operator("CONV_2D", [x, weight, bias], y, ("Conv2DOptions", fields))

    def depthwise(self, x, multiplier, window, stride=(1, 1), padding=SAME, dilation=(1, 1), act=NONE):
        n, h, w, c = self.shape(x)
        weight, bias, step = self.weights((1, *window, c * multiplier), c * multiplier, 3, x, window[0] * window[1])
        y = self.activation((n, *self._size((h, w), window, stride, padding, dilation), c * multiplier), step)
        fields = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1], "DepthMultiplier": multiplier,
                  "DilationHFactor": dilation[0], "DilationWFactor": dilation[1],
                  "FusedActivationFunction": act}  # fmt: skip
        return self.operator("DEPTHWISE_CONV_2D", [x, weight, bias], y, ("DepthwiseConv2DOptions", fields))

    def dense(self, x, out, act=NONE, keep=False, per_channel=False):
        shape = self.shape(x)
        fan = shape[-1] if keep else int(np.prod(shape[1:]))
        weight, bias, step = self.weights((out, fan), out, 0, x, fan, per_channel=per_channel)
        y = self.activation((*shape[:-1], out) if keep else (shape[0], out), step)
        fields = {"FusedActivationFunction": act, "WeightsFormat": 0, "KeepNumDims": keep}
        return self.operator("FULLY_CONNECTED", [x, weight, bias], y, ("FullyConnectedOptions", fields))

    def pool(self, x, kind, window, stride, padding=VALID, act=NONE):
        n, h, w, c = self.shape(x)
        y = self.like(x, (n, *self._size((h, w), window, stride, padding), c))
        fields = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1], "FilterHeight": window[0],
                  "FilterWidth": window[1], "FusedActivationFunction": act}  # fmt: skip
        return self.operator(f"{kind}_POOL_2D", [x], y, ("Pool2DOptions", fields))

    def like(self, x, shape=None):
        """A tensor on the grid of `x`."""
        old = self.tensors[x]
        return self.tensor(
            old["shape"] if shape is None else shape, kind=old["kind"], scale=old["scale"], zero=old["zero"]
        )

    def add(self, a, b, act=NONE):
        return self.operator(
            "ADD", [a, b], self.activation(self.shape(a)), ("AddOptions", {"FusedActivationFunction": act})
        )

    def arithmetic(self, kind, a, b, shape):
        name = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}[kind]
        return self.operator(kind, [a, b], self.activation(shape), (name, {"FusedActivationFunction": NONE}))

    def mean(self, x, keep):
        n, _, _, c = self.shape(x)
        y = self.activation((n, 1, 1, c) if keep else (n, c))
        return self.operator("MEAN", [x, self.constant([1, 2])], y, ("ReducerOptions", {"KeepDims": keep}))

    def reshape(self, x, shape, kind="RESHAPE"):
        inputs = [x, self.constant(shape)] if kind == "RESHAPE" else [x]
        return self.operator(
            kind, inputs, self.like(x, shape), ("ReshapeOptions", {}) if kind == "RESHAPE" else ("SqueezeOptions", {})
        )

    def transpose(self, x, axes):
        shape = tuple(self.shape(x)[a] for a in axes)
        return self.operator("TRANSPOSE", [x, self.constant(axes)], self.like(x, shape), ("TransposeOptions", {}))

    def concat(self, xs, axis):
        shape = list(self.shape(xs[0]))
        shape[axis] = sum(self.shape(x)[axis] for x in xs)
        fields = {"Axis": axis, "FusedActivationFunction": NONE}
        return self.operator("CONCATENATION", xs, self.like(xs[0], shape), ("ConcatenationOptions", fields))

    def unary(self, kind, x):
        return self.operator(kind, [x], self.activation(self.shape(x)))

    def softmax(self, x):
        y = self.activation(self.shape(x), 1 / 256, -128)
        return self.operator("SOFTMAX", [x], y, ("SoftmaxOptions", {"Beta": 1.0}))

    def pad(self, x, sides):
        shape = [n + sum(p) for n, p in zip(self.shape(x), sides, strict=True)]
        return self.operator("PAD", [x, self.constant(sides)], self.like(x, shape), ("PadOptions", {}))

    def quantize(self, x, scale=None, zero=None, kind=INT8):
        y = self.tensor(
            self.shape(x), kind=kind, scale=[0.05 if scale is None else scale], zero=3 if zero is None else zero
        )
        return self.operator("QUANTIZE", [x], y, ("QuantizeOptions", {}))

    def dequantize(self, x):
        return self.operator("DEQUANTIZE", [x], self.tensor(self.shape(x), kind=FLOAT), ("DequantizeOptions", {}))

    # -- the file

    def content(self, source, output) -> bytes:
        b = flatbuffers.Builder(1024)
        codes = sorted({op[0] for op in self.operators})
        buffers, tensors = [self._table(b, "Buffer", {})], []
        for t in self.tensors:
            place = 0
            if t["data"] is not None:
                place = len(buffers)
                buffers.append(
                    self._table(
                        b, "Buffer", {"Data": b.CreateNumpyVector(np.frombuffer(t["data"].tobytes(), np.uint8))}
                    )
                )
            fields = {"Shape": b.CreateNumpyVector(np.array(t["shape"], np.int32)), "Type": t["kind"], "Buffer": place,
                      "Name": b.CreateString(f"tensor_{len(tensors)}")}  # fmt: skip
            if t["scale"] is not None:
                scale = b.CreateNumpyVector(np.asarray(t["scale"], np.float32))
                zero = b.CreateNumpyVector(np.full(len(t["scale"]), t["zero"], np.int64))
                grid = {"Scale": scale, "ZeroPoint": zero, "QuantizedDimension": t["axis"]}
                fields["Quantization"] = self._table(b, "QuantizationParameters", grid)
            tensors.append(self._table(b, "Tensor", fields))
        operators = [self._operator(b, codes, *op) for op in self.operators]
        number = vars(tflite.BuiltinOperator)
        tables = [
            self._table(
                b,
                "OperatorCode",
                {"DeprecatedBuiltinCode": number[c], "BuiltinCode": number[c], "Version": VERSIONS.get(c, 1)},
            )
            for c in codes
        ]
        graph = {"Tensors": self._vector(b, tensors), "Operators": self._vector(b, operators),
                 "Inputs": b.CreateNumpyVector(np.array([source], np.int32)),
                 "Outputs": b.CreateNumpyVector(np.array([output], np.int32))}  # fmt: skip
        graphs = self._vector(b, [self._table(b, "SubGraph", graph)])
        model = {"Version": 3, "OperatorCodes": self._vector(b, tables), "Subgraphs": graphs,
                 "Buffers": self._vector(b, buffers)}  # fmt: skip
        b.Finish(self._table(b, "Model", model), b"TFL3")
        return bytes(b.Output())

    def _operator(self, b, codes, code, inputs, outputs, options):
        fields = {"OpcodeIndex": codes.index(code), "Inputs": b.CreateNumpyVector(np.array(inputs, np.int32)),
                  "Outputs": b.CreateNumpyVector(np.array(outputs, np.int32))}  # fmt: skip
        if options is not None:
            name, values = options
            fields["BuiltinOptions"] = self._table(b, name, values)
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, name)
        return self._table(b, "Operator", fields)

    @staticmethod
    def _vector(b, offsets):
        b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return b.EndVector()

    @staticmethod
    def _table(b, name, fields):
        module = __import__(f"tflite.{name}", fromlist=["x"])
        getattr(module, f"{name}Start")(b)
        for field, value in fields.items():
            getattr(module, f"{name}Add{field}")(b, value)
        return getattr(module, f"{name}End")(b)
