"""The folder of an entry with drawn logs of its weights."""

from pathlib import Path
from typing import Any

from support.synthetic_logs import adaptive_records, certify_protocol, certify_records, write

from rszoo.logs.format import CertifyProtocol, Log
from rszoo.zoo.config import read_config

RADII = (0.0, 0.1, 0.2, 0.3)


def entry_protocol(folder: Path, **changes: Any) -> CertifyProtocol:
    """The protocol of an evaluation of the entry in the folder."""
    config = read_config(folder)
    own = {
        key: getattr(config, key)
        for key in ("name", "weights_sha256", "dataset", "sigma", "noise", "precision")
    }
    own["loss"] = 1e-8 if config.noise == "grid" else 0.0  # 10,000 samples take a tenth of alpha
    own |= {"trained_sigma": config.sigma, "num_classes": len(config.classes), "n": 10_000}
    return certify_protocol(**{**own, **changes})


def write_fixed(folder: Path, **changes: Any) -> Log:
    protocol = entry_protocol(folder, **changes)
    return write(folder / "certify.tsv", protocol, certify_records(protocol))


def write_grid(folder: Path, **changes: Any) -> Log:
    protocol = entry_protocol(folder, **{"radii": RADII, "correct_only": True, **changes})
    return write(folder / "certify-grid.tsv", protocol, adaptive_records(protocol, seed=1))
