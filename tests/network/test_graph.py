"""Networks refuse what cannot be computed, and say so in one line."""

import numpy as np
import pytest

from neuroemu.errors import ArgumentTypeError, InputError, UnsupportedError
from neuroemu.network import (
    Add,
    Clip,
    Conv2d,
    Dense,
    Flatten,
    Grid,
    MaxPool2d,
    Network,
    Reshape,
    Scale,
    relu,
    sequential,
)
from neuroemu.network.layers import BatchNorm

W = np.ones((4, 3, 3, 3), np.float32)


def dense(name="fc", out=2, fan_in=3, **fields):
    return Dense(name=name, weight=np.ones((out, fan_in), np.float32), **fields)


def test_shapes_follow_the_layers():
    net = sequential(
        [
            Conv2d(name="conv", weight=W, stride=2, padding=1),
            relu(name="relu"),
            MaxPool2d(name="pool", size=2),
            Flatten(name="flat"),
            dense(fan_in=16),
        ],
        input_shape=(3, 8, 8),
    )
    assert dict(net.shapes) == {
        "input": (3, 8, 8),
        "conv": (4, 4, 4),
        "relu": (4, 4, 4),
        "pool": (4, 2, 2),
        "flat": (16,),
        "fc": (2,),
    }
    assert net.macs == {"conv": 16 * 108, "fc": 32}
    assert net.n_parameters == 108 + 32


def test_macs_of_grouped_convolutions_count_one_group():
    weight = np.ones((6, 1, 3, 3), np.float32)
    net = sequential([Conv2d(name="dw", weight=weight, padding=1, groups=6)], input_shape=(6, 5, 5))
    assert net.macs == {"dw": 25 * 54}


@pytest.mark.parametrize(
    "layers, shape, says",
    [
        ([], (3,), "no layers"),
        ([dense(fan_in=4)], (3,), "needs 4 inputs"),
        ([Conv2d(name="c", weight=W)], (2, 8, 8), "needs 3 channels"),
        ([Conv2d(name="c", weight=W)], (3, 2, 8), "does not fit"),
        ([Conv2d(name="c", weight=W)], (3,), "height, width"),
        ([dense(), dense(fan_in=2)], (3,), "called 'fc'"),
        ([dense(name="input")], (3,), "called 'input'"),
        ([dense(inputs=("nowhere",))], (3,), "nowhere"),
        ([Reshape(name="r", shape=(4, -1))], (3,), "do not fit"),
        ([dense(), Add(name="a", inputs=("fc", "input"))], (3,), "differ"),
        ([Scale(name="s", scale=[1.0, 2.0])], (3, 4, 4), "one per channel"),
    ],
)
def test_what_does_not_fit_is_refused(layers, shape, says):
    with pytest.raises(InputError, match=says):
        sequential(layers, input_shape=shape)


def test_bad_weights_are_refused_where_they_enter():
    with pytest.raises(InputError, match=r"NaN or infinity, first at index \(0, 1\)"):
        Dense(name="fc", weight=np.array([[1.0, np.nan]]))
    with pytest.raises(InputError, match="must not be empty"):
        Dense(name="fc", weight=np.ones((0, 3)))
    with pytest.raises(InputError, match="bias has shape"):
        Dense(name="fc", weight=np.ones((2, 3)), bias=np.ones(3))
    with pytest.raises(InputError, match="int8 codes"):
        Dense(name="fc", weight=np.ones((2, 3), np.float32), weight_grid=Grid(1.0))
    with pytest.raises(ArgumentTypeError, match="array of real numbers"):
        Dense(name="fc", weight="weights")
    with pytest.raises(InputError, match="groups"):
        Conv2d(name="c", weight=W, groups=3)
    with pytest.raises(InputError, match="below high"):
        Clip(name="c", low=1.0, high=0.0)
    with pytest.raises(InputError, match="must agree"):
        BatchNorm(name="b", gamma=np.ones(2), beta=np.ones(2), mean=np.ones(3), variance=np.ones(2))


def test_inputs_are_checked():
    net = sequential([dense()], input_shape=(3,))
    with pytest.raises(InputError, match=r"takes \(batch, 3\)"):
        net.check_input(np.ones((5, 4)), who="run")
    with pytest.raises(InputError, match="no inputs"):
        net.check_input(np.ones((0, 3)), who="run")
    with pytest.raises(InputError, match="NaN"):
        net.check_input(np.full((1, 3), np.inf), who="run")


def test_arrays_of_a_network_cannot_be_changed():
    weight = np.ones((2, 3), np.float32)
    layer = Dense(name="fc", weight=weight)
    weight[0, 0] = 5.0
    assert layer.weight[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        layer.weight[0, 0] = 2.0


def test_unknown_objects_are_not_layers():
    with pytest.raises(ArgumentTypeError, match="not a layer"):
        sequential(["conv"], input_shape=(3,))


@pytest.mark.parametrize(
    "fields, says",
    [
        ({"scale": 0.0}, "positive"),
        ({"scale": np.nan}, "NaN"),
        ({"scale": 1.0, "bits": 9}, "2 to 8"),
        ({"scale": 1.0, "zero_point": 128}, "-128 to 127"),
        ({"scale": [1.0, 2.0]}, "axis"),
    ],
)
def test_grids_are_checked(fields, says):
    with pytest.raises(InputError, match=says):
        Grid(**fields)


def test_a_grid_for_an_unknown_tensor_is_refused():
    with pytest.raises(InputError, match="unknown tensors"):
        Network(layers=(dense(),), input_shape=(3,), grids={"nowhere": Grid(1.0)})


def test_float_executor_refuses_spiking_layers():
    from neuroemu.network import Lif, run_float

    net = sequential([dense(), Lif(name="lif", threshold=64)], input_shape=(3,))
    with pytest.raises(UnsupportedError, match="spiking chip"):
        run_float(net, np.ones((1, 3)))


def quantized(**fields):
    weight = np.full((2, 3), 5, np.int8)
    layer = Dense(**({"name": "fc", "weight": weight, "weight_grid": Grid(0.1)} | fields))
    return Network(layers=(layer,), input_shape=(3,), grids={"input": Grid(1.0), "fc": Grid(1.0)})


@pytest.mark.parametrize(
    "fields, says",
    [
        ({"weight_grid": Grid(0.1, zero_point=7)}, "zero_point 7"),
        ({"weight_grid": Grid([0.1] * 3, axis=1)}, "axis 1"),
        ({"weight_grid": Grid([0.1] * 3, axis=0)}, "3 steps, the layer has 2"),
        ({"weight_grid": Grid(0.1, bits=3)}, r"3 bits hold -4\.\.3"),
        ({"weight_grid": None, "weight": np.ones((2, 3))}, "real weights"),
    ],
)
def test_codes_and_grids_belong_together(fields, says):
    with pytest.raises(InputError, match=says):
        quantized(**fields)


def test_codes_without_grids_are_refused():
    with pytest.raises(InputError, match="has codes, its input 'input' no grid"):
        quantized().replace(grids={})
    with pytest.raises(InputError, match="needs a grid for 'input'"):
        sequential([dense()], input_shape=(3,)).replace(steps=5)
    with pytest.raises(InputError, match="steps is -5"):
        quantized().replace(steps=-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Network(layers=5, input_shape=(3,)),
        lambda: Network(layers=(dense(),), input_shape=5),
        lambda: Clip(name="c", low=None),
        lambda: Reshape(name="r", shape=5),
        lambda: Reshape(name="r", shape=(-2, -2)),
        lambda: Reshape(name="r", shape=(2.5, 2)),
        lambda: Conv2d(name="c", weight=W, padding="same"),
        lambda: Conv2d(name="c", weight=W, padding=1.5),
        lambda: Conv2d(name="c", weight=W, stride="2"),
        lambda: sequential([dense(name=5)], input_shape=(3,)),
        lambda: sequential([dense(inputs="input")], input_shape=(3,)),
    ],
)
def test_wrong_kinds_of_arguments_give_one_line(make):
    with pytest.raises((InputError, ArgumentTypeError)) as caught:
        make()
    assert "\n" not in str(caught.value)
