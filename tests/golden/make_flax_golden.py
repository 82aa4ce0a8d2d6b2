"""Writes the weights of a small Flax model as files, with the outputs that Flax computes.

    python tests/golden/make_flax_golden.py

It needs flax and safetensors. `flax_cnn.msgpack` is what `flax.serialization.to_bytes` makes of the variables;
`flax_cnn.safetensors` holds the same in float32, and arrays of other types; `flax_outputs.npz` inputs and outputs.
"""

from importlib.metadata import version
from pathlib import Path

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict
from safetensors.flax import save_file

FOLDER = Path(__file__).parent


class Cnn(nn.Module):
    """Convolutions, one of them by channel, a normalization, and dense layers behind a flattened image."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(6, (3, 3), padding="SAME", use_bias=False)(x))
        x = nn.BatchNorm(use_running_average=True)(x)
        x = nn.relu(nn.Conv(12, (3, 2), padding="VALID", feature_group_count=6)(x))
        x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = nn.relu(nn.Dense(9)(x.reshape(len(x), -1)))
        return nn.Dense(4, name="last")(x)


if __name__ == "__main__":
    rng = np.random.default_rng(4)
    x = rng.normal(size=(6, 8, 7, 2)).astype(np.float32)
    variables = Cnn().init(jax.random.key(0), x)
    variables = jax.tree.map(lambda a: jnp.asarray(rng.uniform(0.2, 1.2, a.shape), jnp.float32), variables)
    variables["params"] = jax.tree.map(lambda a: a - 0.6, variables["params"])
    np.savez_compressed(
        FOLDER / "flax_outputs.npz", x=x, y=np.asarray(Cnn().apply(variables, x)), versions=f"flax {flax.__version__}, "
        f"jax {jax.__version__}, safetensors {version('safetensors')}",
    )  # fmt: skip
    (FOLDER / "flax_cnn.msgpack").write_bytes(flax.serialization.to_bytes(variables))
    arrays = {"/".join(path): array for path, array in flatten_dict(variables).items()}
    steps = jnp.arange(-3, 4) / 3
    arrays |= {"kinds/bf16": steps.astype(jnp.bfloat16), "kinds/f16": steps.astype(jnp.float16)}
    arrays |= {
        "kinds/i8": jnp.arange(-3, 4, dtype=jnp.int8),
        "kinds/bool": jnp.arange(3) > 0,
        "kinds/empty": jnp.zeros((2, 0)),
    }
    save_file(arrays, FOLDER / "flax_cnn.safetensors", metadata={"made by": "make_flax_golden.py"})
