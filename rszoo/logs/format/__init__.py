"""The log of an evaluation: one line per image, with the votes behind its result.

A log is tab-separated text. Its first line, `# ` and a JSON object, is the protocol; the second
names the columns. Then comes one line per image (for PREDICT one per number of samples, for an
attack one per distance), written whole as soon as the image is finished. The first columns are
those of the logs of Cohen et al. 2019, whose own files, without protocol and votes, can be read as
well.

    idx label predict radius correct time | selected top_count runner_up runner_up_count n others

`selected` is the class under test, `runner_up` the one with the most votes among the rest, `others`
the votes for further classes, as class:votes, comma-separated, or - if there are none. A sequential
test adds `path`, the votes for `selected` at its looks. An attack adds `eps` and `l2`, how far it
was allowed to go and how far it went, in pixel units. Soft votes have no counts: after `selected`
come its mean score, the bounds `lower` of it and `upper` of the others, and n. Radii are rounded
down, l2 is rounded up.
"""

from rszoo.logs.format.cohen import Given, PublishedProtocol
from rszoo.logs.format.lines import Means, Record, in_full, logged_radius, round_down, round_up
from rszoo.logs.format.log import Log, Setting, read_log
from rszoo.logs.format.protocol import validated
from rszoo.logs.format.tasks import (
    AnyProtocol,
    AttackProtocol,
    CertifyProtocol,
    PredictProtocol,
    SoftProtocol,
)
from rszoo.logs.format.writer import LogWriter, merge

__all__ = [
    "AnyProtocol",
    "AttackProtocol",
    "CertifyProtocol",
    "Given",
    "Log",
    "LogWriter",
    "Means",
    "PredictProtocol",
    "PublishedProtocol",
    "Record",
    "Setting",
    "SoftProtocol",
    "in_full",
    "logged_radius",
    "merge",
    "read_log",
    "round_down",
    "round_up",
    "validated",
]
