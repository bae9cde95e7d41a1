"""Whether a file of `torch.save` is as it was written; `torch.load` does not check that."""

import hashlib
import os
import zipfile
from functools import partial
from io import BytesIO
from pathlib import Path

END = b"PK\5\6"  # begins the last record of a zip container, 22 bytes and a comment
LENGTH = (64).to_bytes(2, "little")  # of the comment; the record's last two bytes
CHUNK = 1 << 20


def seal(path: Path) -> None:
    """Write the SHA-256 of the whole file as the comment of its zip container."""
    with path.open("r+b") as file:
        file.seek(-len(LENGTH), os.SEEK_END)
        file.write(LENGTH)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0, os.SEEK_END)
        file.write(digest.encode())


def is_intact(path: Path) -> bool | None:
    """Whether the file agrees with its seal or, without one, with its container's CRC-32.

    None if it has neither: the legacy format, or `torch.serialization.set_crc32_options(False)`.

    Raises:
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    record, digest = content[-86:-64], content[-64:]
    if record.startswith(END) and record.endswith(LENGTH):
        return hashlib.sha256(content[:-64]).hexdigest().encode() == digest
    if not (content.startswith(b"PK") or zipfile.is_zipfile(BytesIO(content))):
        return None
    if not content[-22:].startswith(END):  # torch writes no comment: cut off, or a damaged seal
        return False
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = archive.infolist()
            return all(_agrees(archive, entry) for entry in entries) if _has_crc(entries) else None
    except Exception:  # damage may look like anything, even like a password
        return False


def _has_crc(entries: list[zipfile.ZipInfo]) -> bool:
    return not entries or any(entry.CRC for entry in entries)


def _agrees(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """Whether an entry has its length; raises BadZipFile if it has not its CRC-32."""
    with archive.open(entry) as file:
        return sum(map(len, iter(partial(file.read, CHUNK), b""))) == entry.file_size
