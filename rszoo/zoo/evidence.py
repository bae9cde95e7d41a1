"""The certification logs of an entry: of its own weights, in its own setting, or refused."""

from pathlib import Path

import msgspec

from rszoo.logs.format import CertifyProtocol, Log, read_log
from rszoo.zoo.config import FIXED_LOG, GRID_LOG, TWINS, EntryConfig

SAME = ("name", "weights_sha256", "dataset", "sigma", "noise", "precision")


def read_certificates(path: Path, config: EntryConfig) -> tuple[Log, CertifyProtocol] | None:
    """A log of CERTIFY beside an entry: of these weights, and of the kind that its name says.

    Its lines are read, not audited; `rszoo.logs.analysis.audit` recomputes them from their votes.

    Args:
        path: of the log, one of `rszoo.zoo.config.EVIDENCE` or `TWINS`.
        config: of the entry.

    Returns:
        The log and its protocol; None if there is no such file.

    Raises:
        ValueError: it is not a log of CERTIFY, or of other weights, another setting or another
            kind.
    """
    if not path.exists():
        return None
    log = read_log(path)
    protocol = log.protocol
    if not isinstance(protocol, CertifyProtocol):
        raise ValueError(
            f"Expected a log of CERTIFY with hard votes by 'rszoo evaluate', got {path}, "
            "which is none; replace it."
        )
    _check_setting(path, protocol, config)
    return log, protocol


def twin(config: EntryConfig) -> tuple[str, EntryConfig]:
    """The name of the log in the other precision, and the config that it must agree with."""
    name, precision = (
        (TWINS[0], "float32") if config.precision == "bfloat16" else (TWINS[1], "bfloat16")
    )
    return name, msgspec.structs.replace(config, precision=precision)


def _check_setting(path: Path, protocol: CertifyProtocol, config: EntryConfig) -> None:
    wanted = {key: getattr(config, key) for key in SAME} | {
        "num_classes": len(config.classes),
        "trained_sigma": config.sigma,
        "shard": None,
        "tolerance": None,
    }
    if path.name != GRID_LOG:
        wanted |= {"radii": None, "correct_only": False}
    for key, value in wanted.items():
        if (stated := getattr(protocol, key)) != value:
            raise ValueError(
                f"Expected {key} {value!r} in {path}, got {stated!r}; "
                "put an evaluation of this entry there."
            )
    if path.name == GRID_LOG and protocol.radii is None:
        raise ValueError(
            f"Expected a log of given radii in {path}, got one of a fixed n; "
            f"that belongs in {FIXED_LOG}."
        )
