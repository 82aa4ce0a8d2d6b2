"""Groups of weights: whole factors under one step a channel, exact in integers, refused where hardware has no place."""

import numpy as np
import pytest

import neuroemu as ne
from neuroemu.errors import InputError, PlacementError, UnsupportedError
from neuroemu.network import Conv2d, Dense, Flatten, Grid, relu, sequential
from neuroemu.transform.weights import SHARES, weight_grid


def net(seed=0):
    random = np.random.default_rng(seed)
    spread = np.exp(random.normal(0, 1.5, (6, 18)))  # groups of very different size
    return sequential(
        [
            Conv2d(name="conv", weight=(random.normal(0, 1, (6, 18)) * spread).reshape(6, 2, 3, 3), padding=1),
            relu(name="relu"),
            Flatten(name="flat"),
            Dense(name="fc", weight=random.normal(0, 1, (5, 150)), bias=random.normal(0, 3, 5)),
        ],
        input_shape=(2, 5, 5),
    )


X = np.random.default_rng(1).random((60, 2, 5, 5)).astype(np.float32)


def test_blocked_dequantization_is_that_of_onnx():
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    random = np.random.default_rng(0)
    codes = random.integers(-128, 128, (4, 12)).astype(np.int8)
    factors, scale = random.integers(1, 64, (4, 3)), random.random(4) + 0.1
    grid = Grid(scale=scale, axis=0, group=4, factors=factors)
    make, real = onnx.helper, onnx.TensorProto.FLOAT
    node = make.make_node("DequantizeLinear", ["codes", "steps"], ["y"], axis=1, block_size=4)
    steps = onnx.numpy_helper.from_array((scale[:, None] * factors).astype(np.float32), "steps")
    inputs = [make.make_tensor_value_info("codes", onnx.TensorProto.INT8, (4, 12))]
    graph = make.make_graph([node], "g", inputs, [make.make_tensor_value_info("y", real, (4, 12))], [steps])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 21)], ir_version=10)
    (wanted,) = runtime.InferenceSession(model.SerializeToString()).run(None, {"codes": codes})
    np.testing.assert_allclose(grid.decode(codes), wanted, rtol=1e-6)


def test_sums_of_groups_are_exact_integers():
    q = ne.quantize(net(), samples=X, weight_bits=4, groups=ne.Groups(32, factor_bits=6))
    _, kept = ne.run_integer(q, X, keep=["flat", "fc"])
    fc = q.layer("fc")
    drive = kept["flat"].astype(np.int64) - q.grids["flat"].zero_point
    sums = np.zeros((len(X), 5), np.int64)
    for group in range(5):  # 150 inputs in groups of 32: the last one has 22
        these = slice(32 * group, 32 * (group + 1))
        sums += fc.weight_grid.factors[:, group] * (drive[:, these] @ fc.weight[:, these].T.astype(np.int64))
    real = (sums + fc.bias) * fc.weight_grid.scale * q.grids["flat"].scale
    np.testing.assert_array_equal(kept["fc"], q.grids["fc"].encode(real))


def test_a_group_never_clips_and_follows_its_largest_weight():
    weight = net().layer("conv").weight.astype(np.float64)
    grid = weight_grid(weight, bits=4, per_channel=True, groups=ne.Groups(9, factor_bits=8))
    steps = np.broadcast_to(grid.steps_of(weight.shape), weight.shape)
    assert (np.abs(weight) <= 7 * steps * (1 + 1e-9)).all()
    largest = np.abs(weight).reshape(6, 2, 9).max(axis=2) / 7
    excess = grid.scale[:, None] * grid.factors - largest
    assert (excess > -1e-9).all() and (excess <= grid.scale[:, None] * (1 + 1e-9)).all()


def test_groups_lose_less_where_ranges_differ():
    real = ne.run_float(net(), X)
    errors = [
        np.abs(ne.run_integer(ne.quantize(net(), samples=X, weight_bits=3, groups=groups), X) - real).mean()
        for groups in (None, ne.Groups(9), ne.Groups(3))
    ]
    assert errors[0] > 1.2 * errors[1] > 1.2 * errors[2]


def test_the_range_of_mse_is_the_best_of_those_tried():
    weight = np.random.default_rng(0).standard_t(3, (5, 200))
    step = weight_grid(weight, bits=3, per_channel=True, calibration=ne.Mse()).scale

    def error(steps):
        steps = steps[:, None]
        return ((weight - steps * np.clip(np.rint(weight / steps), -3, 3)) ** 2).sum(axis=1)

    largest = np.abs(weight).max(axis=1) / 3
    every = np.stack([error(largest * share) for share in SHARES])
    np.testing.assert_allclose(error(step), every.min(axis=0))
    assert (step < 0.8 * largest).all()


def test_groups_are_stored_and_compared(tmp_path):
    q = ne.quantize(net(), samples=X, groups=ne.Groups(32), weight_bits=4)
    with pytest.raises(UnsupportedError, match=r"group of 32 inputs is not written"):
        ne.save(q, tmp_path / "q.onnx")
    ne.save(q, tmp_path / "q.npz")
    back = ne.load(tmp_path / "q.npz")
    assert back.layer("fc").weight_grid == q.layer("fc").weight_grid
    np.testing.assert_array_equal(ne.run_integer(back, X), ne.run_integer(q, X))
    other = Grid(scale=np.ones(2), axis=0, group=2, factors=np.array([[1, 2], [3, 4]]))
    assert other != Grid(scale=np.ones(2), axis=0, group=2, factors=np.array([[1, 2], [3, 5]]))
    assert other != Grid(scale=np.ones(2), axis=0)


def test_processors_count_factors_and_systolic_arrays_refuse():
    q = ne.quantize(net(), samples=X, groups=ne.Groups(32), weight_bits=4)
    with pytest.raises(PlacementError, match=r"'conv' has a weight step for each group of 32 .* groups=None"):
        ne.place(q, ne.chips.TPU_V1)
    for make in (lambda: ne.to_graded(q, steps=4), lambda: ne.to_sigma_delta(q)):
        with pytest.raises(UnsupportedError, match=r"layer 'conv' has a weight step for each group"):
            make()
    plain = ne.quantize(net(), samples=X, weight_bits=4)
    with_groups, without = (ne.run(n, ne.chips.A100, X) for n in (q, plain))
    np.testing.assert_array_equal(with_groups.outputs.reshape(60, -1), ne.run_integer(q, X))
    more = with_groups.counts.total("op_int8") - without.counts.total("op_int8")
    assert more == 60 * 2 * (6 * 1 * 25 + 5 * 5)  # a product and a sum for each group of each sum


def test_arguments_of_groups():
    with pytest.raises(InputError, match="per_channel=True"):
        ne.quantize(net(), samples=X, groups=ne.Groups(8), per_channel=False)
    with pytest.raises(InputError, match=r"reach .* factor_bits"):
        wide = sequential([Dense(name="fc", weight=np.ones((1, 1000)))], input_shape=(1000,))
        ne.quantize(wide, samples=np.ones((1, 1000)), groups=ne.Groups(64, factor_bits=8))
    with pytest.raises(InputError, match="both or neither"):
        Grid(scale=np.ones(2), axis=0, group=2)
    with pytest.raises(InputError, match="whole numbers from 1 to 255"):
        Grid(scale=np.ones(2), axis=0, group=2, factors=np.array([[0], [1]]))
    with pytest.raises(InputError, match="need 3"):
        grid = Grid(scale=np.ones(1), axis=0, group=2, factors=np.ones((1, 2)))
        Dense(name="fc", weight=np.ones((1, 5), np.int8), weight_grid=grid)
