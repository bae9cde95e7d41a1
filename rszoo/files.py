"""Replace a file or folder in one step; append lines that are whole."""

import ctypes
import json
import os
import re
import secrets
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
    partial = unused_path(target)
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


def unused_path(path: Path) -> Path:
    """A hidden path beside `path` that no other file has: its name holds 64 random bits."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.partial")


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes left while they replaced `path`.

    For callers who know that no process is replacing it now.
    """
    ours = re.compile(rf"\.{re.escape(path.name[:40])}\.[0-9a-f]{{16}}\.partial")
    for other in path.resolve().parent.iterdir():
        if ours.fullmatch(other.name) and other.is_file():
            other.unlink(missing_ok=True)


def exchange(one: Path, other: Path) -> None:
    """Exchange two files or folders of one file system.

    Linux and macOS do it in one step, so that a kill leaves both as before or both exchanged. Where
    the file system cannot, it takes three renames.

    Raises:
        OSError: one of the two is missing or cannot be renamed; both are as they were.
    """
    if _exchange_at_once(one, other):
        return
    spare = unused_path(other)
    other.rename(spare)
    try:
        one.rename(other)
    except OSError:
        spare.rename(other)
        raise
    spare.rename(one)


def _exchange_at_once(one: Path, other: Path) -> bool:
    """Whether the system could exchange them."""
    here, swap = -100, 2  # AT_FDCWD; RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
    first, second = os.fsencode(one), os.fsencode(other)
    arguments: dict[str, tuple[str, tuple[int | bytes, ...]]] = {
        "linux": ("renameat2", (here, first, here, second, swap)),
        "darwin": ("renamex_np", (first, second, swap)),
    }
    if sys.platform not in arguments:
        return False
    name, values = arguments[sys.platform]
    function = getattr(ctypes.CDLL(None), name, None)  # older C libraries lack it
    return function is not None and function(*values) == 0


def append_whole(file: IO[bytes], data: bytes) -> None:
    """Write bytes at the end of an unbuffered file, all of them or, after an error, none."""
    end = file.seek(0, os.SEEK_END)
    try:
        while data:
            data = data[file.write(data) :]
    except BaseException:
        with suppress(OSError):
            file.truncate(end)
        raise


def append_line(path: Path, line: str) -> None:
    """Append a line to a file of JSON lines, whole or not at all.

    A last line that was cut while it was written is dropped first.

    Raises:
        OSError: the file cannot be written; the error names it, and its lines are as they were.
    """
    content = path.read_bytes() if path.exists() else b""
    end = content.rfind(b"\n") + 1
    complete = _is_json(content[end:])
    try:
        with path.open("ab", buffering=0) as file:
            if not complete:
                file.truncate(end)
            append_whole(file, (b"\n" if complete else b"") + line.encode() + b"\n")
    except OSError as error:  # a write error does not know its file
        raise OSError(error.errno, error.strerror, str(path)) from error


def whole_lines(content: bytes) -> list[bytes]:
    """The lines of a file of JSON lines, without a last one that was cut while it was written."""
    *lines, last = content.split(b"\n")
    return [*lines, last] if _is_json(last) else lines


def _is_json(text: bytes) -> bool:
    """Whether this is a whole value, as a JSON object is only with its last brace."""
    with suppress(ValueError):
        json.loads(text)
        return True
    return False


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
