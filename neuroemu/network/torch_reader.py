"""Reads a live PyTorch module: float networks, and quantized ones of eager mode and of pt2e with all their grids.

The module is followed by `torch.export` on one example input, and nothing of it is stored, pickled or sent through a
file. torch.export and not an export to ONNX: pt2e quantization works on its graphs, and torch's export to ONNX is by
default built on it, so that it outlasts both forms of what comes behind. It keeps the paths of the layers, needs no
further package, and refuses branches on values instead of freezing them.

The network accepts x as the module does, (B, C, H, W) for images, as real numbers. The module must be in eval mode.
Weights of any float type become float32.

A quantized module becomes a quantized network with the module's own scales and zero points. Codes of type uint8 are
shifted by 128 to int8; a range narrower than 8 bits becomes a Clip at its ends. A code is a sum times a float32 factor,
rounded half to even; biases are rounded to the accumulator's grid. Eager-mode modules on the engine qnnpack compute the
same: all codes of the golden network are equal, 11 of 557,000 differed in a deeper one. The engines for x86 (fbgemm,
onednn) add the bias as a real number, so that about one code in 2,000 of a layer differs by one; and their average
pools add the zero point before they round, so that every tie at an odd zero point goes the other way. pt2e modules
compute in float32 between their grids, biases not rounded either: a layer's codes differ as seldom, by one. FX graph
mode's modules are refused: use pt2e.
"""

import numpy as np

from ..errors import FileFormatError, InputError, MissingDependencyError, UnsupportedError
from ._build import one_line
from ._torch_program import Program
from .graph import Network


def from_torch(module, example_input=None, *, name: str | None = None) -> Network:
    """A network from a PyTorch module.

    Parameters
    ----------
    module : torch.nn.Module or torch.export.ExportedProgram
        In eval mode; with one input and one output. Float, or quantized by eager mode (torch.ao.quantization, prepare
        and convert) or by pt2e (prepare_pt2e and convert_pt2e).
    example_input : torch.Tensor or array (B, ...)
        One input with its batch axis, of any size; it gives the shapes. Not needed with an ExportedProgram.
    name : str or None
        Name of the network; None: the module's class.

    Returns
    -------
    Network
        Layers are named after the module's own, "layer1.0.conv1".

    Raises
    ------
    UnsupportedError
        torch.export cannot follow the module, or a layer is not supported; the message names it and a remedy.
    InputError
        No example input, or weights that are not finite.
    ArgumentTypeError
        `module` is neither an nn.Module nor an ExportedProgram.
    MissingDependencyError
        Package `torch` is not installed.
    """
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingDependencyError('from_torch needs: pip install "neuroemu[torch]"') from None
    from ._torch_export import program_of

    try:
        return network_of_program(program_of(module, example_input), name or type(module).__name__)
    except UnsupportedError as error:
        raise UnsupportedError(f"from_torch: {one_line(error, 600)}") from None
    except FileFormatError as error:  # the words are those of the readers of files
        raise InputError(f"from_torch: {one_line(error, 500).replace('the file', 'the module')}") from None


def network_of_program(program: Program, name: str) -> Network:
    """The network of a Program; it needs no torch."""
    from . import _torch_quantized  # noqa: F401  it registers its handlers
    from ._torch_calls import translated
    from .onnx_reader import network_of

    with np.errstate(all="ignore"):  # what is not finite is refused where it is used
        return network_of(translated(program), name)
