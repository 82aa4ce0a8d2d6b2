"""Writes the golden codes before the softmax of two published int8 networks, by TFLite's reference kernels.

    NEUROEMU_TEST_DATA=... python tests/golden/make_tflite_golden.py

Each file holds `codes` (2,000, classes) int8, `tensor` (its index in the file), `seed` of the random inputs, and
`versions`. The inputs are not stored: the CIFAR-10 images of the data folder, or seeded random codes.
"""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from PIL import Image

COUNT, SEED = 2000, 20240

DATA = Path(os.environ["NEUROEMU_TEST_DATA"])


def cifar_codes():
    rows = [np.asarray(Image.open(DATA / "cifar10" / f"cifar10_batch_{i}.png")) for i in (0, 1)]
    return (np.concatenate(rows).reshape(-1, 32, 32, 3).astype(np.int16) - 128).astype(np.int8)


def random_codes():
    return np.random.default_rng(SEED).integers(-128, 128, (COUNT, 49, 10, 1)).astype(np.int8)


def write(name, tensor, inputs):
    interpreter = Interpreter(
        str(DATA / "mlperf_tiny" / f"{name}.tflite"),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    codes = []
    for row in inputs:
        interpreter.set_tensor(source, row[None])
        interpreter.invoke()
        codes.append(interpreter.get_tensor(tensor)[0].copy())
    versions = f"ai-edge-litert {version('ai-edge-litert')}, BUILTIN_REF; numpy {np.__version__}; {platform.machine()}"
    target = Path(__file__).with_name(f"tflite_{name}.npz")
    np.savez_compressed(target, codes=np.stack(codes), tensor=tensor, seed=SEED, versions=versions)
    print(target, np.stack(codes).shape, versions)


if __name__ == "__main__":
    write("pretrainedResnet_quant", 36, cifar_codes())
    write("kws_ref_model", 33, random_codes())
