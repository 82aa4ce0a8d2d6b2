"""Reads Keras models: .keras files of Keras 3 and .h5 files of Keras 2 and 3, layers and weights from the one file.

The network accepts x as Keras does, images as (B, H, W, C); its first layer turns them to NCHW. Models are Sequential
or Functional, with one input and one output, and with every layer called once. Nothing that a file holds is run: a
Lambda or a class of one's own is refused. TensorFlow and Keras are not needed.

A .weights.h5 file has no layers: `read_arrays` and `with_weights` put its arrays into a network.
"""

from pathlib import Path

import numpy as np

from ..errors import NeuroemuError, UnsupportedError
from ._build import in_file
from ._hdf5 import damage
from ._keras_file import load
from ._keras_layers import HANDLERS, Scope
from .graph import Network


def read_keras(path: str | Path, *, name: str | None = None) -> Network:
    """A network from a .keras or .h5 file.

    Parameters
    ----------
    path : path to the file
    name : str or None
        Name of the network; None: the file's name without its ending.

    Raises
    ------
    FileFormatError
        Truncated, damaged, or not a Keras file.
    UnsupportedError
        A layer or setting that is not supported; the message names it and a remedy.
    MissingDependencyError
        Package `h5py` is not installed.
    """
    path = Path(path)
    try:
        with np.errstate(all="ignore"), damage("a Keras file"):  # what is not finite is refused where it is used
            return _network(path, name or path.stem)
    except NeuroemuError as error:
        raise in_file(path, error) from None


def _network(path: Path, name: str) -> Network:
    model = load(path)
    scope = Scope(model, name)
    for layer in model.layers:
        handler = HANDLERS.get(layer.kind)
        if handler is None:
            kinds = ", ".join(sorted(HANDLERS))
            raise UnsupportedError(f"{layer}: not supported; replace it by one of {kinds}")
        scope.values[layer.name] = handler(scope, layer)
    if model.output not in scope.values:
        raise UnsupportedError(f"the model's output '{model.output:.40}' is no layer of it")
    return scope.build.finish(scope.orders.file_order(scope.values[model.output]), rounding="half_even")
