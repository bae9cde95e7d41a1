"""Reading logs: those of this package, and the files that Cohen et al. 2019 published."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from rszoo.logs.format.lines import Record, parse_line
from rszoo.logs.format.protocol import AnyProtocol

PUBLISHED = {
    ("idx", "label", "predict", "radius", "correct", "time"),
    ("idx", "label", "predict", "correct", "time"),
}


@dataclass(frozen=True)
class Log:
    """A log that was read: its protocol, None for a published file, and its lines in the order of the file.

    `mark` follows its title where that alone does not tell it from the logs beside it.
    """

    path: Path
    protocol: AnyProtocol | None
    records: Sequence[Record]
    mark: str = field(default="", kw_only=True)

    @property
    def title(self) -> str:
        """What tables and plots call it: its subject and the mark."""
        return f"{self.subject} ({self.mark})" if self.mark else self.subject

    @property
    def subject(self) -> str:
        """What it is of: the entry, or the file; sigma too where it is not the trained one."""
        if self.protocol is None:
            return "/".join(self.path.parts[-4:])
        found = self.protocol
        return (
            found.name
            if found.sigma == found.trained_sigma
            else f"{found.name} at sigma {found.sigma:g}"
        )


def read_log(path: str | Path) -> Log:
    """Read a log of this package, or one that Cohen et al. published; a half-written last line is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is not one of a log; the error names file, line and fault.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected a log, got {str(path)!r}, which is no file; check the path."
        )
    return parse_log(path, path.read_bytes())


def parse_log(path: Path, content: bytes) -> Log:
    """The log in the bytes of a file; see `read_log`."""
    try:
        lines = content.decode().splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"Expected a log in {path}, got bytes that are no text ({error}); copy the file again."
        ) from error
    whole = [(number, text.rstrip("\r\n")) for number, text in enumerate(lines, 1)]
    protocol = None
    if whole and whole[0][1].startswith("#"):
        protocol = _protocol(path, whole.pop(0)[1])
        if not lines[-1].endswith(
            "\n"
        ):  # a published file may end without, ours is being written or was cut off
            whole = whole[:-1]
    columns = tuple(whole.pop(0)[1].split("\t")) if whole else ()
    known = PUBLISHED if protocol is None else {protocol.columns}
    if columns not in known:
        raise ValueError(
            f"Expected the columns {' '.join(sorted(known)[-1])} in {path}, got {' '.join(columns)[:80] or 'none'}; "
            "pass a file that 'rszoo evaluate' made, or 'rszoo attack', or a published one of Cohen et al."
        )
    return Log(
        path, protocol, [parse_line(path, number, columns, text) for number, text in whole if text]
    )


def _protocol(path: Path, text: str) -> AnyProtocol:
    try:
        protocol: AnyProtocol = msgspec.json.decode(text.removeprefix("#"), type=AnyProtocol)
        return protocol
    except (msgspec.DecodeError, ValueError) as error:
        raise ValueError(
            f"Expected a protocol in line 1 of {path}, got this fault: {error}; restore the line."
        ) from error
