"""Writes the golden programs of PyTorch modules with torch's own outputs, for tests that run without torch.

    PYTHONPATH=. python tests/golden/make_torch_golden.py

It needs torch and torchao. `torch_programs.npz` holds for each case the program that the reader makes of the module,
`CASE/output`, what the module computes, and `CASE/codes/LAYER`, codes of layers in between as int8; the inputs come
from a seeded generator. It prints how far the network of each case is from the module.
"""

import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "network"))

import torch_modules as modules
from torch_programs import packed

from neuroemu.network import run_float, run_integer
from neuroemu.network._torch_export import program_of
from neuroemu.network.torch_reader import network_of_program

SEQUENCE = (4, 20)
INNER = ("layer1.r2", "layer2.r2", "mean")


def cases():
    """Name -> (module, inputs)."""
    x = modules.inputs()
    yield "operations", modules.trained(modules.Operations), x
    yield "residual", modules.trained(modules.Residual), x
    yield "sequence", modules.trained(modules.Sequence), modules.inputs(SEQUENCE)
    for engine in ("fbgemm", "qnnpack"):
        yield f"eager_{engine}", modules.quantized_eager(engine), x
    quantizers = modules.quantizers()
    yield "pt2e_xnnpack", modules.quantized_pt2e(modules.Residual, quantizers["xnnpack"]), x
    yield "pt2e_x86", modules.quantized_pt2e(modules.Plain, quantizers["x86"]), x


def inner_codes(case, module, x):
    """int8 codes of a few layers of an eager-mode module, as arrays to store."""
    found = {}
    hooks = [
        module.get_submodule(name).register_forward_hook(lambda m, i, o, name=name: found.__setitem__(name, o))
        for name in INNER
    ]
    module(x)
    for hook in hooks:
        hook.remove()
    return {f"{case}/codes/{k}": (v.int_repr().to(torch.int16) - 128).to(torch.int8).numpy() for k, v in found.items()}


def report(case, network, x, want):
    """How far the network is from the module."""
    if not network.quantized:
        error = np.abs(run_float(network, x) - want).max() / np.abs(want).max()
        print(f"{case}: relative error {error:.1e}")
    elif network.output in network.grids:
        step = network.grids[network.output].scale
        difference = np.abs(np.rint(run_integer(network, x) / step) - np.rint(want / step))
        print(f"{case}: {np.count_nonzero(difference)} of {difference.size} codes differ, by {difference.max():.0f}")
    else:
        print(
            f"{case}: largest difference {np.abs(run_integer(network, x) - want).max():.1e} of {np.abs(want).max():.2f}"
        )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    programs, outputs = {}, {}
    for case, module, x in cases():
        with torch.no_grad():
            outputs[f"{case}/output"] = module(x).numpy()
            if case.startswith("eager"):
                outputs |= inner_codes(case, module, x)
        programs[case] = program_of(module, x[:2])
        report(case, network_of_program(programs[case], case), x.numpy(), outputs[f"{case}/output"])
    versions = f"torch {torch.__version__}, torchao {version('torchao')}, numpy {np.__version__}"
    target = Path(__file__).with_name("torch_programs.npz")
    np.savez_compressed(target, **packed(programs, versions=np.array(versions), **outputs))
    print(target, f"{target.stat().st_size:,} bytes;", versions)
