"""Archives: a zip of .npy arrays with a JSON text "header"; no pickle. Bytes enter, checked header and arrays leave.

Files come from others: sizes are checked before memory is taken, and only plain numbers are read.
"""

import ast
import io
import json
import struct
import tokenize
import zipfile
import zlib
from math import prod

import numpy as np

from .errors import FileFormatError, UnsupportedError

MAX_MEMBERS = 100_000
MAX_BLOWN, MAX_PACKING = 1 << 28, 200  # bytes of arrays that may be packed by more than that factor
DTYPES = ("|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", "|b1")
# What zipfile, zlib, json and numpy raise on damaged or hostile bytes.
DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, ValueError, TypeError, KeyError, IndexError,
    SyntaxError, EOFError, AttributeError, RuntimeError, RecursionError, NotImplementedError, OverflowError,
    MemoryError, OSError,
)  # fmt: skip


def packed(header: dict, arrays: dict[str, np.ndarray]) -> bytes:
    """The archive's bytes; the same content gives the same bytes."""
    text = json.dumps(header, allow_nan=False).encode()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, header=np.frombuffer(text, np.uint8), **arrays)
    return buffer.getvalue()


def read_header(archive: zipfile.ZipFile, *, kind: str, version: int, most: int, made_by: str) -> dict:
    """The header, after the archive's size, format and version are checked.

    `most` is the number of bytes that the arrays may take together; `made_by` names what writes such files.
    """
    members = archive.infolist()
    total = sum(m.file_size for m in members)
    if len(members) > MAX_MEMBERS or total > most:
        raise FileFormatError(f"{len(members):,} arrays of {total:,} bytes; up to {most:,} bytes are read")
    packed = sum(m.compress_size for m in members)
    if total > MAX_BLOWN and total > MAX_PACKING * packed:
        raise FileFormatError(f"{total:,} bytes of arrays packed in {packed:,}; no such file is written here")
    if "header.npy" not in archive.namelist():
        raise FileFormatError(f"an .npz file without a header; {made_by}")
    header = json.loads(read_array(archive, "header").tobytes().decode())
    if not isinstance(header, dict) or header.get("format") != kind or type(header.get("version")) is not int:
        found = header.get("format") if isinstance(header, dict) else header
        raise FileFormatError(f"an .npz file of format {found!r:.40}; {made_by}")
    if header["version"] > version:
        raise UnsupportedError(
            f"format version {header['version']}; this release reads up to {version}, upgrade neuroemu"
        )
    return header


def read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One .npy member, its shape checked against its size before memory is taken."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise FileFormatError(f"damaged file: array '{name}' has an unknown .npy version")
        (length,) = struct.unpack("<H", file.read(2))
        described = ast.literal_eval(file.read(length).decode("latin1").strip())
        shape, dtype = described["shape"], described["descr"]
        if dtype not in DTYPES or described["fortran_order"] not in (True, False):
            raise FileFormatError(f"damaged file: array '{name}' has type {dtype!r:.40}; only numbers are read")
        if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise FileFormatError(f"damaged file: array '{name}' has shape {shape!r:.60}")
        size = prod(shape) * np.dtype(dtype).itemsize
        if size != info.file_size - 10 - length:
            raise FileFormatError(f"damaged file: array '{name}' {shape} needs {size:,} bytes, not what it has")
        content = file.read(size + 1)
    if len(content) != size:
        raise FileFormatError(f"damaged file: array '{name}' has {len(content):,} bytes of {size:,}")
    array = np.frombuffer(content, dtype)
    return array.reshape(shape, order="F" if described["fortran_order"] else "C")
