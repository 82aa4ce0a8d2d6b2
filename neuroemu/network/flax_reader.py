"""Reads Flax's msgpack files, what `flax.serialization.to_bytes` writes: nested tables of arrays; nothing can be run.

Read is the part of MessagePack that such files use: tables, lists, texts, numbers, and the extensions 1 (an array: its
shape, its type's name and its bytes) and 3 (a number as such an array). The layout is that of the MessagePack
specification (github.com/msgpack/msgpack/blob/master/spec.md) and of flax/serialization.py. bfloat16 becomes float32.

A model of Flax has no file of its layers: its arrays are put into a network by `with_weights`.
"""

import struct
from math import prod
from pathlib import Path

import numpy as np

from ..errors import FileFormatError, NeuroemuError, UnsupportedError
from ._build import MAX_ITEMS, in_file, one_line, read_bytes
from .safetensors_reader import widened

MAX_DEPTH = 32  # tables in tables
MAX_TEXT = 1000  # bytes of a name
ARRAY, NUMBER = 1, 3  # Flax's extensions
DTYPES = (
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16",
    "uint8", "bool",
)  # fmt: skip
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i",
    0xD3: ">q",
}  # fmt: skip
_PLAIN = {0xC0: None, 0xC2: False, 0xC3: True}
# Marks of what is followed by its length: the form of the length, and what it is.
_SIZED = {
    0xD9: (">B", "text"), 0xDA: (">H", "text"), 0xDB: (">I", "text"), 0xC4: (">B", "bytes"), 0xC5: (">H", "bytes"),
    0xC6: (">I", "bytes"), 0xDC: (">H", "list"), 0xDD: (">I", "list"), 0xDE: (">H", "table"), 0xDF: (">I", "table"),
    0xC7: (">B", "extension"), 0xC8: (">H", "extension"), 0xC9: (">I", "extension"),
}  # fmt: skip
_FIXED = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}  # extensions of these lengths


def read_flax(path: str | Path) -> dict:
    """The nested tables of arrays of a msgpack file that Flax wrote.

    Raises
    ------
    FileFormatError
        Truncated, damaged, or not such a file.
    UnsupportedError
        Complex numbers, arrays in pieces (above 1 GiB), or types that are not supported.
    """
    path = Path(path)
    try:
        reader = _Reader(memoryview(read_bytes(path)))
        found = reader.value(0)
        if not isinstance(found, dict) or reader.place != len(reader.data):
            raise FileFormatError("not one table of arrays")
        return found
    except (struct.error, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: damaged or not a msgpack file: {one_line(error)}") from None
    except NeuroemuError as error:
        raise in_file(path, error) from None


class _Reader:
    """Walks through the bytes; `items` is how many values may still be read."""

    def __init__(self, data: memoryview):
        self.data, self.place, self.items = data, 0, 8 * MAX_ITEMS

    def take(self, size: int) -> memoryview:
        if size > len(self.data) - self.place:
            raise FileFormatError(f"damaged: {size:,} bytes are claimed, {len(self.data) - self.place:,} are left")
        self.place += size
        return self.data[self.place - size : self.place]

    def number(self, form: str):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self, depth: int):
        """The value at the place."""
        self.items -= 1
        if depth > MAX_DEPTH or self.items < 0:
            raise FileFormatError(f"more than {MAX_DEPTH} tables in tables, or more than {8 * MAX_ITEMS:,} values")
        mark = self.number(">B")
        if mark in _PLAIN:
            return _PLAIN[mark]
        if mark in _NUMBERS:
            return self.number(_NUMBERS[mark])
        if mark <= 0x7F or mark >= 0xE0:
            return mark if mark <= 0x7F else mark - 0x100
        if mark in _FIXED:
            return self.extension(_FIXED[mark])
        if mark in _SIZED:
            form, kind = _SIZED[mark]
            return getattr(self, kind)(self.number(form), *([depth] if kind in ("list", "table") else []))
        if mark <= 0x8F:
            return self.table(mark & 15, depth)
        if mark <= 0x9F:
            return self.list(mark & 15, depth)
        if mark <= 0xBF:
            return self.text(mark & 31)
        raise FileFormatError(f"damaged or not a msgpack file: a value of kind {mark:#x}")

    def table(self, size: int, depth: int) -> dict:
        found = {}
        for _ in range(size):
            key = self.value(depth + 1)
            if not isinstance(key, str):
                raise FileFormatError(f"a table with the key {key!r:.40}; names are texts")
            found[key] = self.value(depth + 1)
        if "__msgpack_chunked_array__" in found:
            raise UnsupportedError("an array above 1 GiB, stored in pieces; store it as safetensors")
        return found

    def list(self, size: int, depth: int) -> list:
        return [self.value(depth + 1) for _ in range(size)]

    def text(self, size: int) -> str:
        if size > MAX_TEXT:
            raise FileFormatError(f"a text of {size:,} bytes; names have {MAX_TEXT:,} at most")
        return bytes(self.take(size)).decode("utf-8")

    def bytes(self, size: int) -> memoryview:
        return self.take(size)

    def extension(self, size: int) -> np.ndarray:
        kind = self.number(">b")
        if kind not in (ARRAY, NUMBER):
            raise UnsupportedError(f"a value of extension {kind}; only arrays of real numbers are read")
        inner = _Reader(self.take(size))
        entry = inner.value(MAX_DEPTH - 2)
        if not isinstance(entry, list) or len(entry) != 3:
            raise FileFormatError("a damaged array")
        return _array(*entry)


def _array(shape, dtype, content) -> np.ndarray:
    dtype = bytes(dtype).decode("utf-8", "replace") if isinstance(dtype, memoryview) else dtype
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise UnsupportedError(f"an array of type {dtype!r:.20}; store it as one of {', '.join(DTYPES)}")
    if not isinstance(shape, list) or len(shape) > 32 or not all(type(n) is int and n >= 0 for n in shape):
        raise FileFormatError(f"an array of shape {shape!r:.40}")
    plain = np.dtype("<u2" if dtype == "bfloat16" else dtype)
    if not isinstance(content, memoryview) or len(content) != prod(shape) * plain.itemsize:
        raise FileFormatError(f"a damaged array of shape {tuple(shape)!s:.80} and type {dtype}")
    array = np.frombuffer(content, plain).reshape(shape)
    return widened(array) if dtype == "bfloat16" else array
