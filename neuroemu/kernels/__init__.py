"""Compiled kernels, the build chosen for this CPU.

`kernels.binary`, `.crossbar`, `.events`, `.graded`, `.integer`, `.memristors`, `.truenorth` and `.wires` are extension
modules, each built twice from one source: `_base` for any CPU, and on x86-64 `_v3` for AVX2 + FMA. `.truenorth` has a
third build, `_v4`, for AVX-512 as in Ice Lake and Zen 4. First use loads the best build that this CPU runs;
NEUROEMU_ISA=base or =v3 in the environment sets a limit. The Python twins (`crossbar_reference` and so on) say what the
kernels compute; all builds give the same bits.
"""

import functools
import importlib
import importlib.util
import os

from ..errors import InputError, MissingDependencyError

_PARTS = {
    "crossbar": "analog crossbars",
    "binary": "crossbars of binary cells",
    "events": "spiking cores",
    "graded": "graded spikes",
    "integer": "integer networks",
    "memristors": "dynamic memristors",
    "truenorth": "TrueNorth cores",
    "wires": "wire resistance",
}


@functools.cache
def isa(part: str = "crossbar") -> str:
    """Instruction set of a kernel in use: "v4" (AVX-512, only "truenorth"), "v3" (AVX2 + FMA) or "base" (any CPU)."""
    wish = os.environ.get("NEUROEMU_ISA", "")
    if wish not in ("", "base", "v3"):
        raise InputError(f"NEUROEMU_ISA is {wish!r}; use base or v3, or leave it unset for the best this CPU runs")
    if wish == "base" or not _load("crossbar", "base").cpu_has_v3():
        return "base"
    return "v4" if not wish and part == "truenorth" and _has_v4() else "v3"


def _has_v4() -> bool:
    """Whether the third build is there, which not all compilers make, and runs on this CPU."""
    there = importlib.util.find_spec(f"{__name__}._truenorth_v4") is not None
    return there and _load("truenorth", "base").cpu_has_v4()


def openmp_enabled() -> bool:
    """Whether the kernels were built with OpenMP, so that they can use more than one thread."""
    return _load("crossbar", "base").openmp_enabled()


def __getattr__(name):
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = module = _load(name, isa(name))
    return module


def _load(part, build):
    name = f"{__name__}._{part}_{build}"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"{name}: the compiled kernel of the {_PARTS[part]} does not load ({error}); reinstall neuroemu, or in a "
            "source tree run: python setup.py build_ext --inplace"
        ) from error
