"""What a result depends on besides its inputs and its seed."""

import platform
from importlib import metadata

import numpy as np

from . import kernels

LIBRARIES = ("scipy", "brian2", "onnx", "tflite", "nir")


def versions() -> dict[str, str]:
    """Versions that a Result carries."""
    from . import __version__

    return {
        "neuroemu": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "kernels": kernels.isa(),
    }


def show_versions() -> None:
    """Print versions, the instruction set of the kernels and whether they use threads; for bug reports."""
    facts = versions() | {"openmp": str(kernels.openmp_enabled())}
    for name, value in facts.items():
        print(f"{name:<10} {value}")
    for name in LIBRARIES:
        print(f"{name:<10} {_version(name)}")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
