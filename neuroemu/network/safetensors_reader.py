"""Reads safetensors files: named arrays behind a JSON header; nothing in them can be run.

A file is 8 bytes with the length of the header, the header, and the arrays' bytes in one piece. The header maps names
to type, shape and place. The layout is that of github.com/huggingface/safetensors, "Format". Arrays of bfloat16, which
NumPy has not, become float32 without loss; other types stay as they are.
"""

import json
from math import prod
from pathlib import Path

import numpy as np

from ..errors import FileFormatError, NeuroemuError, UnsupportedError
from ._build import MAX_ITEMS, in_file, one_line, read_bytes

MAX_HEADER = 1 << 25  # bytes
BFLOAT16 = "BF16"
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", BFLOAT16: "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a .safetensors file by name.

    Raises
    ------
    FileFormatError
        Truncated, damaged, or not a safetensors file.
    UnsupportedError
        An array of a type that is not supported, such as 8-bit floating point.
    """
    path = Path(path)
    try:
        return _arrays(read_bytes(path))
    except NeuroemuError as error:
        raise in_file(path, error) from None


def is_safetensors(start: bytes) -> bool:
    """Whether the first 9 bytes are those of a safetensors file."""
    return len(start) >= 9 and start[8:9] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= MAX_HEADER


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    if not is_safetensors(content[:9]):
        raise FileFormatError(f"not a safetensors file; its first bytes are {content[:9]!r}")
    size = int.from_bytes(content[:8], "little")
    if size > len(content) - 8:
        raise FileFormatError(f"its header claims {size:,} bytes of {len(content) - 8:,}")
    try:
        header = json.loads(content[8 : 8 + size])
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"damaged header: {one_line(error)}") from None
    if not isinstance(header, dict):
        raise FileFormatError("damaged header: it is no table of arrays")
    header.pop("__metadata__", None)
    if len(header) > MAX_ITEMS:
        raise FileFormatError(f"{len(header):,} arrays; up to {MAX_ITEMS:,} are read")
    data = memoryview(content)[8 + size :]
    found = {name: _array(name, described, data) for name, described in header.items()}
    places = sorted(described["data_offsets"] for described in header.values())
    ends = [0, *(end for _, end in places)]
    if [start for start, _ in places] != ends[:-1] or ends[-1] != len(data):
        raise FileFormatError("its arrays overlap, or leave bytes between them")
    return found


def _array(name: str, described, data) -> np.ndarray:
    who = f"array {name!r:.80}"
    if not isinstance(described, dict) or set(described) != {"dtype", "shape", "data_offsets"}:
        raise FileFormatError(f"{who}: damaged entry {described!r:.60}")
    kind, shape, place = described["dtype"], described["shape"], described["data_offsets"]
    if not isinstance(kind, str) or kind not in DTYPES:
        raise UnsupportedError(f"{who}: type {kind!r:.20}; store it as one of {', '.join(DTYPES)}")
    if not _whole(shape) or not _whole(place) or len(place) != 2:
        raise FileFormatError(f"{who}: shape {shape!r:.40} at {place!r:.40}; whole numbers of 0 or more are needed")
    start, end = place
    dtype = np.dtype(DTYPES[kind])
    if len(shape) > 32 or end > len(data) or end - start != prod(shape) * dtype.itemsize:
        raise FileFormatError(f"{who}: {kind} of shape {tuple(shape)!s:.80} at bytes {start} to {end} of {len(data):,}")
    try:
        array = np.frombuffer(data[start:end], dtype).reshape(shape)
    except ValueError:  # none of them, but along axes longer than NumPy counts
        raise FileFormatError(f"{who}: {kind} of shape {tuple(shape)!s:.80}; such axes cannot be counted") from None
    return widened(array) if kind == BFLOAT16 else array


def widened(codes: np.ndarray) -> np.ndarray:
    """bfloat16, given as uint16, as float32: it is its upper half."""
    return (codes.astype(np.uint32) << 16).view(np.float32)


def _whole(numbers) -> bool:
    return isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)
