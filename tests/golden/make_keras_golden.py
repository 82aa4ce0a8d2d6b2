"""Writes small Keras models as files, with the outputs that Keras computes.

    KERAS_BACKEND=torch python tests/golden/make_keras_golden.py

It needs Keras 3. `keras_operations.keras` and `.h5` hold the same model of images, `keras_sequential.keras` and `.h5`
a model of vectors; `keras_outputs.npz` holds inputs and outputs of both.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers as K

FOLDER = Path(__file__).parent


def operations():
    """One of each layer that the reader takes, with paddings and strides that do not divide."""
    source = keras.Input((11, 10, 3))
    x = K.Rescaling([0.02, 0.03, 0.01], offset=[-0.5, 0.25, -1.0])(source)
    x = K.ZeroPadding2D(((0, 1), (2, 0)), name="zeros")(x)
    x = K.Conv2D(6, (3, 4), strides=2, padding="same", activation="relu", name="first")(x)
    x = K.BatchNormalization()(x)
    y = K.DepthwiseConv2D(3, padding="same", use_bias=False, depth_multiplier=2)(x)
    y = K.ReLU(6.0)(y)
    y = K.Conv2D(6, 3, padding="same", dilation_rate=2, groups=3)(y)
    x = K.Activation("relu")(K.Add()([x, y, x]))
    y = K.AveragePooling2D(3, strides=1, padding="same")(x)
    y = K.BatchNormalization(scale=False, center=False, epsilon=0.1)(y)
    z = K.SpatialDropout2D(0.2)(K.MaxPooling2D(3, strides=1, padding="same")(x))
    x = K.Concatenate()([y, z])
    x = K.SeparableConv2D(4, 3, activation="relu6")(x)
    w = K.Reshape((5, 8, 2), name="again")(K.Dense(5, name="by_pixel")(x))
    w = K.GlobalAveragePooling2D()(K.Conv2D(5, 2, name="after")(w))
    x = K.Dropout(0.5)(K.Flatten()(x))
    x = K.Dense(12, activation="relu", name="hidden")(x)
    x = K.Permute((2, 1))(K.Reshape((3, -1))(x))
    x = K.Concatenate(name="both")([K.Flatten()(x), w])
    return keras.Model(source, K.Softmax()(K.Dense(4)(x)))


def sequential():
    """A model whose layers follow one another."""
    return keras.Sequential(
        [keras.Input((7,)), K.Dense(6, activation="relu", name="hidden"), K.BatchNormalization(), K.Dense(3)]
    )


if __name__ == "__main__":
    rng, arrays = (
        np.random.default_rng(8),
        {"versions": f"keras {keras.__version__}, backend {keras.backend.backend()}"},
    )
    for name, model in (("operations", operations()), ("sequential", sequential())):
        model.set_weights(
            [
                rng.uniform(0.3, 1.5, w.shape) if w.ndim == 1 else rng.normal(0, 0.4, w.shape)
                for w in model.get_weights()
            ]
        )
        x = rng.integers(0, 100, (8, *model.input_shape[1:])).astype(np.float32)
        arrays |= {f"{name}_x": x, f"{name}_y": np.asarray(model.predict(x, verbose=0))}
        model.save(FOLDER / f"keras_{name}.keras")
        model.save(FOLDER / f"keras_{name}.h5")
    model.save_weights(FOLDER / "keras_sequential.weights.h5")
    np.savez_compressed(FOLDER / "keras_outputs.npz", **arrays)
