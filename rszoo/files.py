"""Replace a file, or its content, in one step."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; the file there replaces `path` when the block ends.

    After an error or a kill `path` is as it was. A symbolic link stays one: its target is replaced.

    Raises:
        ValueError: `path` is a folder or a device.
        OSError: the file cannot be written; the error names `path`.
    """
    if path.exists() and not path.is_file():
        raise ValueError(
            f"Expected a file, got {str(path)!r}, which is a folder or a device; "
            "choose another path."
        )
    target = path.resolve()
    partial = target.with_name(f"{target.name}.partial")
    try:
        yield partial
        os.replace(partial, target)
    except OSError as error:
        ours = error.filename in (None, str(partial))
        if error.errno is None or not ours:  # a message of our own, or about another file
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def replace_content(path: Path, content: str | bytes) -> None:
    """Replace a file by these bytes, or by this text in UTF-8 with its line ends unchanged.

    Raises:
        ValueError, OSError: as `replacing`.
    """
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def try_lock(file: IO[bytes]) -> bool:
    """Lock an open file against other processes until it is closed; False if another has the lock.

    On Windows nothing is locked and the answer is always True.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
