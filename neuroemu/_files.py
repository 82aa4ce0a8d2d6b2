"""Files are written whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path

from .errors import InputError


@contextlib.contextmanager
def replacing(path):
    """A temporary path beside `path` that takes its place when the block ends well, and is removed when it does not."""
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}); choose another folder") from None
    os.close(handle)
    try:
        yield Path(name)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp makes private files
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_text(path, text: str) -> None:
    """Write a UTF-8 file."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
