"""Files that are replaced at once."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what takes the place of `path` when the block ends; after an error or a kill `path` is as it was.

    A link stays a link, to the new file.

    Raises:
        ValueError: `path` is no file, but a folder or a device.
        OSError: it cannot be written; the error names `path`.
    """
    if path.exists() and not path.is_file():
        raise ValueError(
            f"Expected a file, got {str(path)!r}, which is a folder or a device; choose another path."
        )
    target = path.resolve()
    partial = target.with_name(f"{target.name}.partial")
    try:
        yield partial
        os.replace(partial, target)
    except OSError as error:
        if error.errno is None or error.filename not in (
            None,
            str(partial),
        ):  # a sentence, or of another file
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def replace_content(path: Path, content: str | bytes) -> None:
    """Replace a file by these bytes, or by this text in UTF-8 with the ends of lines as they are.

    Raises:
        ValueError, OSError: as `replacing`.
    """
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def try_lock(file: IO[bytes]) -> bool:
    """Keep other processes from holding the file until it is closed; False if one does. Windows has no such lock."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
