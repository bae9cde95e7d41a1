"""Writing logs line by line, also after an interruption; merging the shards of an evaluation."""

import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from rszoo.files import append_whole, replace_content, try_lock
from rszoo.logs.format.cohen import PublishedProtocol
from rszoo.logs.format.lines import Record, format_line
from rszoo.logs.format.log import Log, parse_log, read_log
from rszoo.logs.format.tasks import AnyProtocol


class LogWriter(AbstractContextManager["LogWriter"]):
    """Appends the lines of one protocol to a file; goes on where an interrupted run stopped.

    The lines of an image are written whole, or none of them and an error says why. A half-written
    line of a run that was killed is dropped.

    Args:
        path: the log; created if it is not there.
        protocol: what is evaluated.

    Raises:
        ValueError: the file is a log of another protocol, is damaged, or another process writes it.
        OSError: the file cannot be written.

    Attributes:
        records: the lines that are in the file.
    """

    def __init__(self, path: Path, protocol: AnyProtocol) -> None:
        self.path, self.protocol = path, protocol
        if path.exists() and not path.is_file():
            raise ValueError(
                f"Expected a file for the log, got {str(path)!r}, which is none; choose another."
            )
        self._file = path.open("ab", buffering=0)
        try:
            if not try_lock(self._file):
                raise ValueError(
                    f"Expected a log that nobody writes to, got {path}, "
                    "which another process has open; choose another file."
                )
            self.records = self._resume(path.read_bytes())
        except BaseException:
            self.close()
            raise

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def remaining(self) -> Sequence[int]:
        """The images that have no line yet, in order."""
        return self.protocol.indices[len(self.records) // self.protocol.lines_per_image :]

    def append(self, records: Sequence[Record]) -> None:
        """Write the lines of the next image."""
        self._write(b"".join(map(format_line, records)))
        self.records += records

    def _resume(self, content: bytes) -> list[Record]:
        """Check what is there, cut off an unfinished image, and return the rest."""
        head = header(self.protocol)
        if head.startswith(content):  # new, or cut off in its first two lines
            self._file.truncate(0)
            self._write(head)
            return []
        log = parse_log(self.path, content)
        self._check(log, content)
        lines = self.protocol.lines_per_image
        images = len(log.records) // lines
        kept = list(log.records[: images * lines])
        if [record.idx for record in kept[::lines]] != list(self.protocol.indices[:images]):
            raise ValueError(
                f"Expected the images {self.protocol.indices} in {self.path}, "
                "got others or another order; 'rszoo audit' lists them: write to another file."
            )
        self._file.truncate(len(b"".join(content.splitlines(keepends=True)[: 2 + len(kept)])))
        return kept

    def _check(self, log: Log, content: bytes) -> None:
        if differences := differing(log.protocol, self.protocol):
            raise ValueError(
                f"Expected {self.path} to be a log of this evaluation, got one of another "
                f"({', '.join(differences)}); write to another file."
            )
        for record in log.records:
            if record.radius is not None and not 0 <= record.radius < math.inf:
                raise ValueError(
                    f"Expected radii >= 0 in {self.path}, "
                    f"got {record.radius} for image {record.idx}; write to another file."
                )
        if b"\n\n" in content:
            raise ValueError(f"Expected no empty line in {self.path}, got one; remove it.")
        if b"\r" in content:
            raise ValueError(
                f"Expected Unix line ends in {self.path}, got Windows ones; "
                "convert it, for instance with dos2unix."
            )

    def _write(self, data: bytes) -> None:
        try:
            append_whole(self._file, data)
        except OSError as error:  # a write error does not know its file
            raise OSError(error.errno, error.strerror, str(self.path)) from error


def header(protocol: AnyProtocol) -> bytes:
    """The first two lines of a log."""
    columns = "\t".join(protocol.columns).encode()
    return b"# " + msgspec.json.encode(protocol) + b"\n" + columns + b"\n"


def differing(one: AnyProtocol | PublishedProtocol, other: AnyProtocol) -> list[str]:
    """Where two protocols differ, as 'key: value and value'.

    An older log, which does not say of which data it is, does not differ in that.
    """
    left, right = msgspec.to_builtins(one), msgspec.to_builtins(other)
    keys = [key for key in left | right if left.get(key) != right.get(key)]
    if None in (left.get("data_sha256"), right.get("data_sha256")):
        keys = [key for key in keys if key != "data_sha256"]
    return [f"{key}: {left.get(key)} and {right.get(key)}" for key in keys]


def merge(paths: Sequence[Path], out: Path) -> Log:
    """Join the shards of one protocol into the log of an evaluation in one piece.

    Shards may come from different software or processors: each radius rests on the votes of its own
    image. The merged log names all of them.

    Raises:
        FileExistsError: `out` exists.
        ValueError: the logs are not the shards 1 to k of one protocol, or a shard is not complete.
    """
    if out.exists():
        raise FileExistsError(
            f"Expected a new file, got --out {str(out)!r}, which is there; "
            "choose another or delete it."
        )
    logs = [read_log(path) for path in paths]
    protocol = _common_protocol(logs)
    records: dict[int, list[Record]] = defaultdict(list)
    for log in logs:
        for record in log.records:
            records[record.idx].append(record)
    lines = [record for idx in protocol.indices for record in records[idx]]
    replace_content(out, header(protocol) + b"".join(map(format_line, lines)))
    return Log(out, protocol, lines)


def _common_protocol(logs: Sequence[Log]) -> AnyProtocol:
    """The protocol of which the logs are all the shards."""
    protocols = [_complete_shard(log) for log in logs]
    software = "; ".join(sorted({protocol.software for protocol in protocols}))
    unsharded = [
        msgspec.structs.replace(protocol, shard=None, software=software) for protocol in protocols
    ]
    known = [protocol for protocol in unsharded if protocol.data_sha256 is not None]
    first = known[0] if known else unsharded[0]
    for log, protocol in zip(logs, unsharded, strict=True):
        if differences := differing(first, protocol):
            raise ValueError(
                f"Expected shards of one protocol, got {log.path} with {', '.join(differences)}; "
                "merge like with like."
            )
    shards = sorted(protocol.shard for protocol in protocols if protocol.shard is not None)
    count = shards[0][1]
    if shards != [(number, count) for number in range(1, count + 1)]:
        got = ", ".join(f"{number}/{count}" for number, count in shards)
        raise ValueError(
            f"Expected each of the shards 1/{count} to {count}/{count} once, got {got}; "
            "pass all of them, each once."
        )
    data = first.data_sha256 if len(known) == len(logs) else None
    return msgspec.structs.replace(first, data_sha256=data)


def _complete_shard(log: Log) -> AnyProtocol:
    """The protocol of a shard that has all its lines."""
    protocol = log.protocol
    if isinstance(protocol, PublishedProtocol) or protocol.shard is None:
        raise ValueError(
            f"Expected shards, got {log.path}, which is no shard; "
            "pass logs of 'rszoo evaluate --shard'."
        )
    expected = [idx for idx in protocol.indices for _ in range(protocol.lines_per_image)]
    if [record.idx for record in log.records] != expected:
        raise ValueError(
            f"Expected {len(expected)} lines in {log.path}, one per image and result, "
            f"got {len(log.records)} or others; finish it with the command that began it."
        )
    return protocol
