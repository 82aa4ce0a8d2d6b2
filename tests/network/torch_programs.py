"""Programs of PyTorch modules to and from one .npz file with a JSON header, to be read where there is no torch."""

import json

import numpy as np

from neuroemu.network._torch_program import Call, Program, Ref


def packed(programs: dict[str, Program], **arrays: np.ndarray) -> dict[str, np.ndarray]:
    """What np.savez takes: the programs' arrays, those given besides, and a header."""
    header, found = {}, dict(arrays)
    for case, program in programs.items():
        header[case] = {
            "calls": [
                [c.name, c.kind, c.layer, c.layer_kind, {k: _plain(v) for k, v in c.arguments.items()}, list(c.shape)]
                for c in program.calls
            ],
            "constants": list(program.constants),
            "rest": [program.input, list(program.input_shape), program.output, program.coded],
        }
        found |= {f"{case}/{name}": array for name, array in program.constants.items()}
    return found | {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}


def unpacked(archive, case: str) -> Program:
    """The inverse of `packed` for one case."""
    described = json.loads(archive["header"].tobytes())[case]
    calls = [
        Call(name, kind, layer, layer_kind, {k: _value(v) for k, v in arguments.items()}, tuple(shape))
        for name, kind, layer, layer_kind, arguments, shape in described["calls"]
    ]
    source, shape, output, coded = described["rest"]
    constants = {name: archive[f"{case}/{name}"] for name in described["constants"]}
    return Program(tuple(calls), constants, source, tuple(shape), output, coded)


def _plain(value):
    if isinstance(value, Ref):
        return {"ref": value.name}
    return [_plain(v) for v in value] if isinstance(value, list) else value


def _value(value):
    if isinstance(value, dict):
        return Ref(value["ref"])
    return [_value(v) for v in value] if isinstance(value, list) else value
