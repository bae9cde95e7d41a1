"""The logs in the folder of an entry: of its own weights in their own setting, or refused."""

from pathlib import Path

import msgspec

from rszoo.logs.format import CertifyProtocol, Log, read_log
from rszoo.zoo.config import EntryConfig
from rszoo.zoo.layout import EVIDENCE

FIXED_LOG, GRID_LOG = EVIDENCE


def read_certificates(path: Path, config: EntryConfig) -> tuple[Log, CertifyProtocol] | None:
    """A log of CERTIFY in the folder of an entry, which is of these weights and of the kind that its name says.

    Its lines are read, not audited: `rszoo.logs.analysis.audit` holds them to their votes.

    Args:
        path: of the log; its name is one of `rszoo.zoo.hub.EVIDENCE` or `TWINS`.
        config: of the entry.

    Returns:
        The log and its protocol; None if there is no such file.

    Raises:
        ValueError: it is no log of CERTIFY, or one of other weights, another setting or another kind.
    """
    if not path.exists():
        return None
    log = read_log(path)
    protocol = log.protocol
    if not isinstance(protocol, CertifyProtocol):
        raise ValueError(
            f"Expected a log of CERTIFY by 'rszoo evaluate', got {path}, which is none; replace it."
        )
    _check_setting(path, protocol, config)
    return log, protocol


def twin(config: EntryConfig) -> tuple[str, EntryConfig]:
    """The name of the log in the other precision, and the config that it is held to."""
    (other,) = {"float32", "bfloat16"} - {config.precision}
    return f"certify-{other}.tsv", msgspec.structs.replace(config, precision=other)


def _check_setting(path: Path, protocol: CertifyProtocol, config: EntryConfig) -> None:
    """The log is of these weights in their own setting, whole, and of the kind that its name says."""
    keys = ("name", "weights_sha256", "dataset", "sigma", "noise", "precision")
    wanted = {key: getattr(config, key) for key in keys} | {
        "num_classes": len(config.classes),
        "shard": None,
    }
    wanted |= {"trained_sigma": config.sigma, "tolerance": None}
    if path.name != GRID_LOG:
        wanted |= {"radii": None, "correct_only": False}
    for key, value in wanted.items():
        if (got := getattr(protocol, key)) != value:
            raise ValueError(
                f"Expected {key} {value!r} in {path}, got {got!r}; put an evaluation of this entry there."
            )
    if path.name == GRID_LOG and protocol.radii is None:
        raise ValueError(
            f"Expected a log of given radii in {path}, got one of a fixed n; that belongs in {FIXED_LOG}."
        )
