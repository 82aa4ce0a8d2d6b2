"""Damaged and hostile versions of a file, for fuzz_readers.py.

Any bytes are flipped, cut, copied and overwritten with sizes that nothing has. Archives are opened first and closed
again with right checksums, their JSON header gets values of other kinds, and HDF5 files other arrays and links; blind
changes would seldom pass a checksum.
"""

import contextlib
import io
import json
import random
import struct
import zipfile

INTERESTING = (0, 1, -1, 2, 7, 127, 128, 255, 256, 4096, 2**15, 2**16 - 1, 2**24, 2**31 - 1, -(2**31), 2**32 - 1, 2**40)
OPERATORS = (
    "Add", "Sub", "Mul", "Div", "Concat", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Gather", "Slice", "Shape",
    "Cast", "Flatten", "Conv", "Gemm", "MatMul", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Pad",
    "Softmax", "BatchNormalization", "QuantizeLinear", "DequantizeLinear", "QLinearConv", "Identity", "Dropout", "Sqrt",
)  # fmt: skip
HOSTILE = (
    None, True, -1, 0, 1, 2, 3.5, 2**31, 2**63, 1e308, -1e308, "", "input", "nan", "\u202e\u0000\n", "x" * 5000, [], {},
    [0], [1, 1], [-1], [2**40, 2**40], [[[[[[]]]]]], {"array": "header"}, {"array": "a0"}, {"float": "nan"},
    {"float": "inf"}, {"grid": {}}, {"grid": {"scale": 0, "zero_point": 0, "bits": 8, "axis": None}},
)  # fmt: skip


def mutate(seed: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One changed version of `seed`."""
    if seed[:4] == b"PK\x03\x04" and rng.random() < 0.85:
        try:
            return _archive(seed, others, rng)
        except Exception:  # no archive that zipfile reads any more; blind changes then
            pass
    if seed[:4] == b"\x89HDF" and rng.random() < 0.3:
        try:
            return _hdf5(seed, rng)
        except Exception:  # the library that writes it refuses; blind changes then
            pass
    if seed[8:9] == b"{" and rng.random() < 0.6:  # safetensors: the length of a JSON text, and the text
        size = int.from_bytes(seed[:8], "little")
        with contextlib.suppress(ValueError):
            text = _json(seed[8 : 8 + size], rng)
            return len(text).to_bytes(8, "little") + text + seed[8 + size :]
    if seed[:1] == b"\x08" and b"Conv" in seed and rng.random() < 0.6:
        with contextlib.suppress(Exception):  # no ONNX file any more
            return _onnx(seed, rng)
    return raw(seed, others, rng)


def raw(seed: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Blind changes, one to six of them."""
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = rng.randrange(len(data) + 1) if rng.random() < 0.5 else rng.randrange(min(len(data), 400) + 1)
        way = rng.randrange(8)
        if way == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif way == 1 and data:
            data[at % len(data)] = rng.randrange(256)
        elif way == 2:
            del data[at:]
        elif way == 3:
            del data[at : at + rng.choice((1, 2, 4, 8, 100))]
        elif way == 4:
            start = rng.randrange(len(data) + 1)
            data[at:at] = data[start : start + rng.choice((1, 8, 64, 1000))] * rng.choice((1, 1, 2, 50))
        elif way == 5:
            size, order = rng.choice("bhiq"), rng.choice("<>")
            bits = 8 * struct.calcsize(order + size)
            value = rng.choice(INTERESTING) % (1 << bits)
            data[at : at + bits // 8] = value.to_bytes(bits // 8, "little" if order == "<" else "big")
        elif way == 6 and others:
            other = rng.choice(others)
            data[at:] = other[rng.randrange(len(other) + 1) :]
        else:
            data[at:at] = rng.choice(
                (b"\n", b",", b"\xff" * 8, b"1e999", b"nan", b"-1", b'"', b"\0" * 64, b"\xe2\x80\xae")
            )
    return bytes(data[: 1 << 22])


def _archive(seed: bytes, others, rng) -> bytes:
    """A zip with one member changed, left out, doubled or renamed."""
    with zipfile.ZipFile(io.BytesIO(seed)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = rng.randrange(len(members))
    if rng.random() < 0.5:
        at = next((i for i, (name, _) in enumerate(members) if name == "header.npy"), at)
    name, content = members[at]
    way = rng.random()
    if way < 0.05:
        del members[at]
    elif way < 0.1:
        members.append((name, content))
    elif way < 0.15:
        members[at] = (rng.choice(("../x.npy", "\u202e.npy", "header.npy", "a" * 3000)), content)
    elif name == "header.npy" and way < 0.85:
        members[at] = (name, _header(content, rng))
    elif name.endswith(".json") and way < 0.85:
        members[at] = (name, _json(content, rng))
    elif name.endswith(".h5"):
        members[at] = (name, mutate(content, others, rng))
    elif way < 0.93:
        members[at] = (name, _described(content, rng))
    else:
        members[at] = (name, raw(content, others, rng))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))) as archive:
        for name, content in members:
            archive.writestr(name, content)
    packed = buffer.getvalue()
    return raw(packed, others, rng) if rng.random() < 0.1 else packed


def _npy(text: bytes, described: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(described)) + described + text


def _header(content: bytes, rng) -> bytes:
    """The JSON header with one value changed."""
    (length,) = struct.unpack_from("<H", content, 8)
    text = _json(content[10 + length :], rng)
    described = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(text)},), }}\n".encode()
    return _npy(text, described)


def _json(content: bytes, rng) -> bytes:
    """A JSON text with one value changed, or two."""
    header = json.loads(content)
    for _ in range(rng.choice((1, 1, 2))):
        places = list(_places(header))
        parent, key = rng.choice(places)
        if rng.random() < 0.3:
            other, name = rng.choice(places)
            parent[key] = json.loads(json.dumps(other[name])) if name in other or isinstance(other, list) else None
        elif rng.random() < 0.15 and isinstance(parent, dict):
            del parent[key]
        else:
            parent[key] = rng.choice(HOSTILE)
    return json.dumps(header).encode()


def _described(content: bytes, rng) -> bytes:
    """An array whose description says something else; or with values that are none."""
    (length,) = struct.unpack_from("<H", content, 8)
    described, body = content[10 : 10 + length], content[10 + length :]
    if rng.random() < 0.4:
        return content[: 10 + length] + rng.choice((b"\xff", b"\0", struct.pack("<f", float("nan")))) * (len(body))
    kind = rng.choice(("|u1", "|i1", "<i4", "<f4", "<f8", "|b1", "<i8", "|O", "<U4", "<c8", "|V3"))
    shape = rng.choice(("()", "(0,)", "(-1,)", f"({2**40},)", f"({2**33}, 0, {2**33})", f"({len(body)},)", "(1,) * 99"))
    if rng.random() < 0.3:
        return raw(content, [], rng)
    described = f"{{'descr': '{kind}', 'fortran_order': {rng.choice((True, False))}, 'shape': {shape}, }}\n".encode()
    return _npy(body, described)


def _places(value, limit: int = 4000):
    """(container, key) of everything in a JSON value."""
    stack = [value]
    while stack and limit:
        found = stack.pop()
        for key in list(found) if isinstance(found, dict) else range(len(found)):
            limit -= 1
            yield found, key
            if isinstance(found[key], dict | list):
                stack.append(found[key])


def _onnx(seed: bytes, rng) -> bytes:
    """An ONNX file with other shapes, edges, operators, attributes or values."""
    import onnx

    model = onnx.load_from_string(seed)
    graph = model.graph
    for _ in range(rng.choice((1, 1, 2, 3))):
        node, tensor = rng.choice(graph.node), rng.choice(graph.initializer)
        names = [name for n in graph.node for name in (*n.input, *n.output)]
        way = rng.randrange(10)
        if way == 0:
            tensor.dims[:] = rng.choice(([], [0], [-1, 3], [2**40, 2**40], [1] * 40, [*tensor.dims][::-1], [4, 4], [8]))
        elif way == 1 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice((*names, "", "none", "\u202e"))
        elif way == 2 and node.output:
            node.output[0] = rng.choice(names)
        elif way == 3:
            node.op_type = rng.choice(OPERATORS)
        elif way == 4 and node.attribute:
            attribute = rng.choice(node.attribute)
            attribute.ints[:] = rng.choice(
                ([], [0, 0], [-1, -1], [2**62, 2], [1] * 30, [2, 2], [3, 3, 3, 3], [0, 0, 9, 9])
            )
            attribute.i = rng.choice(INTERESTING)
        elif way == 5:
            key = rng.choice(
                ("axis", "perm", "axes", "group", "to", "alpha", "keepdims", "auto_pad", "dilations", "value")
            )
            value = rng.choice((-1, 0, 7, 2**62, 1.5, "SAME_UPPER", [1, 0], [2**31, 1], [0.5]))
            node.attribute.append(onnx.helper.make_attribute(key, value))
        elif way == 6:
            tensor.raw_data = rng.choice((b"", b"\xff" * len(tensor.raw_data), tensor.raw_data[:-3], bytes(64)))
        elif way == 7:
            tensor.data_type = rng.randrange(0, 24)
        elif way == 8:
            kept = list(graph.node)
            rng.shuffle(kept)
            del graph.node[:]
            graph.node.extend(kept[: rng.choice((1, len(kept), len(kept)))] * rng.choice((1, 1, 2)))
        else:
            shape = rng.choice((*graph.input, *graph.output)).type.tensor_type.shape
            shape.dim[rng.randrange(len(shape.dim))].dim_value = rng.choice(INTERESTING)
    return model.SerializeToString()


def _hdf5(seed: bytes, rng) -> bytes:
    """An HDF5 file with one array, group or link changed."""
    import h5py
    import numpy as np

    buffer = io.BytesIO(seed)
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        texts = [(at, key) for at in ("/", *names) for key, text in file[at].attrs.items() if str(text)[:1] == "{"]
        if texts and rng.random() < 0.6:  # Keras keeps its layers as JSON
            at, key = rng.choice(texts)
            file[at].attrs[key] = _json(str(file[at].attrs[key]).encode(), rng).decode()
            file.flush()
            return buffer.getvalue()
        name = rng.choice(names)
        parent, leaf = file[name].parent, name.rsplit("/", 1)[-1]
        way = rng.randrange(9)
        old = file[name]
        del parent[leaf]
        if way == 0:
            parent[leaf] = h5py.ExternalLink("/etc/hostname", "/")
        elif way == 1:
            parent[leaf] = h5py.SoftLink(rng.choice(("/", "/node", "/none", name)))
        elif way == 2:
            parent[leaf] = file["/"] if rng.random() < 0.5 else old.parent  # a group within itself
        elif way == 3:
            parent.create_dataset(leaf, (2**20, 2**20), "f4", chunks=(1024, 1024), compression="gzip")
        elif way == 4:
            parent.create_dataset(leaf, data=np.zeros(rng.choice((2**20, 2**22)), "f4"), compression="gzip")
        elif way == 5:
            parent[leaf] = rng.choice(("Affine", "LIF", "NIRGraph", "Conv2d", "x" * 3000, "\u202e", "Input", "Flatten"))
        elif way == 6:
            shape = rng.choice(((), (0,), (1,), (2, 2), (3, 1, 1), (1,) * 8))
            parent[leaf] = np.full(
                shape, rng.choice((np.nan, np.inf, -1.0, 0.0, 1e30, 2**40)), rng.choice(("f4", "f8"))
            )
        elif way == 7:
            parent[leaf] = np.array(rng.choice((-1, 0, 2**31 - 1, 2**62, -(2**63))), "i8")
        elif isinstance(old, h5py.Dataset) and old.dtype.kind in "iuf":
            values = np.array(old[()])
            values.reshape(-1)[: rng.choice((1, 2))] = rng.choice((0, 1, 2, 3, 100, 255))
            parent[leaf] = values
        if rng.random() < 0.2:
            file[f"node/nodes/{rng.choice((chr(0x202E), 'n' * 2000, 'a.b', 'input'))}"] = h5py.SoftLink("/node/nodes")
    return buffer.getvalue()
