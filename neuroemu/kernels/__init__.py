"""Compiled kernels, the build chosen for this CPU.

`kernels.binary`, `.crossbar`, `.events`, `.floating`, `.graded`, `.integer`, `.memristors`, `.truenorth` and `.wires`
are extension modules, each built from one source: `_base` for any CPU, and on x86-64 `_v3` for AVX2 + FMA and, of those
that gain by it, `_v4` for AVX-512 as in Ice Lake and Zen 4. First use loads the best build for this CPU;
NEUROEMU_ISA=base or v3 in the environment allows none beyond that. All builds give the same bits. The Python twins
(`crossbar_reference` and so on) say what the kernels compute.
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
    "floating": "neurons in floating point",
    "graded": "graded spikes",
    "integer": "integer networks",
    "memristors": "dynamic memristors",
    "truenorth": "TrueNorth cores",
    "wires": "wire resistance",
}


_ISAS = ("base", "v3", "v4")
_WITH_V4 = ("events", "truenorth")


@functools.cache
def isa() -> str:
    """Instruction set that the kernels may use: "v4" (AVX-512), "v3" (AVX2 + FMA) or "base" (any CPU)."""
    wish = os.environ.get("NEUROEMU_ISA", "")
    if wish not in ("", *_ISAS):
        raise InputError(
            f"NEUROEMU_ISA is {wish!r}; use one of {', '.join(_ISAS)}, or leave it unset for the best this CPU runs"
        )
    base = _load("crossbar", "base")
    best = "v4" if base.cpu_has_v4() else "v3" if base.cpu_has_v3() else "base"
    return min(wish or best, best, key=_ISAS.index)


def builds(part: str) -> tuple[str, ...]:
    """Builds of one kernel that may be used, the best one last."""
    allowed = _ISAS[: _ISAS.index(isa()) + 1]
    # Not every compiler makes the third build.
    third = part in _WITH_V4 and importlib.util.find_spec(f"{__name__}._{part}_v4") is not None
    return allowed if third else allowed[:2]


def openmp_enabled() -> bool:
    """Whether the kernels were built with OpenMP, so that they can use more than one thread."""
    return _load("crossbar", "base").openmp_enabled()


def __getattr__(name):
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = module = _load(name, builds(name)[-1])
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
