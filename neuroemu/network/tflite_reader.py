"""Reads TensorFlow Lite files: float32 networks, and full-integer int8 ones with all their grids.

The network accepts x as the file's own runtime takes it, images as (B, H, W, C); its first layer turns them to NCHW.
x always holds real numbers: for a file whose input tensor is int8 or uint8, those that its codes stand for,
scale * (code - zero_point). The output is in real numbers too. A quantized network computes as TFLite's reference
kernels do (rounding "tflite"), up to the softmax, which is evaluated in float32 and not put on a grid.

Weights stored as int8 or float16 in a float network are decoded: TFLite's kernels for such "hybrid" files also round
the activations on the fly, which is not modelled.
"""

from pathlib import Path

import numpy as np

from ..errors import NeuroemuError, UnsupportedError
from ._build import in_file, read_bytes
from ._tflite_file import parse
from ._tflite_layers import HANDLERS
from ._tflite_scope import Reader
from .graph import Network


def read_tflite(path: str | Path, *, name: str | None = None) -> Network:
    """A network from a .tflite file.

    Parameters
    ----------
    path : path to the file
    name : str or None
        Name of the network; None: the file's name without its ending.

    Raises
    ------
    FileFormatError
        Truncated, damaged, or not TFLite.
    UnsupportedError
        An operator, type or setting that is not supported; the message names it and a remedy.
    MissingDependencyError
        Package `tflite` is not installed.
    """
    path = Path(path)
    try:
        with np.errstate(all="ignore"):  # what is not finite is refused where it is used
            return _network(path, name or path.stem)
    except NeuroemuError as error:
        raise in_file(path, error) from None


def _network(path: Path, name: str) -> Network:
    reader = Reader(parse(read_bytes(path)), name)
    for op in reader.graph.operators:
        handler = HANDLERS.get(op.kind)
        if handler is None:
            raise UnsupportedError(f"{op}: not supported; replace it by one of {', '.join(sorted(HANDLERS))}")
        handler(reader, op)
    output = reader.file_order(reader.value(reader.graph.output, "the graph's output"))
    return reader.build.finish(output, rounding="tflite" if reader.build.grids else "half_even")
