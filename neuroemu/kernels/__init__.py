"""Compiled kernels, the build chosen for this CPU.

`kernels.binary`, `.crossbar`, `.events`, `.floating`, `.graded`, `.integer`, `.memristors`, `.truenorth` and `.wires`
are extension modules, each built twice from one source: `_base` for any CPU, and on x86-64 `_v3` for AVX2 + FMA. First
use loads the fitting build; NEUROEMU_ISA=base in the environment forces the portable one. The Python twins
(`crossbar_reference` and so on) say what the kernels compute.
"""

import functools
import importlib
import os

from ..errors import InputError, MissingDependencyError

_PARTS = {
    "crossbar": "analog crossbars",
    "binary": "crossbars of binary cells",
    "events": "spiking cores",
    "floating": "neurons in floating point",
    "graded": "graded spikes",
    "integer": "integer networks",
    "memristors": "dynamic memristors",
    "truenorth": "TrueNorth cores",
    "wires": "wire resistance",
}


@functools.cache
def isa() -> str:
    """Instruction set of the kernels in use: "v3" (AVX2 + FMA) or "base" (any CPU)."""
    wish = os.environ.get("NEUROEMU_ISA", "")
    if wish not in ("", "base"):
        raise InputError(f"NEUROEMU_ISA is {wish!r}; use base, or leave it unset for the best this CPU runs")
    return "v3" if not wish and _load("crossbar", "base").cpu_has_v3() else "base"


def openmp_enabled() -> bool:
    """Whether the kernels were built with OpenMP, so that they can use more than one thread."""
    return _load("crossbar", "base").openmp_enabled()


def __getattr__(name):
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = module = _load(name, isa())
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
