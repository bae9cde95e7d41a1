"""The log of an evaluation: one line an image, with the votes that its result was computed from.

A log is tab-separated text. Its first line, `# ` and a JSON object, is the protocol; the second names the columns; then one
line an image (for PREDICT also a number of samples, for an attack a distance), written whole and at once as the image is
finished. The first columns are those of the logs of Cohen et al. 2019, whose own files, without protocol and votes, are read
as well.

    idx label predict radius correct time | selected top_count runner_up runner_up_count n others

`selected` is the class that was put to the test, `runner_up` the one with the most votes among the rest, `others` the votes of
further classes, as class:votes, comma-separated, or - if there are none. A sequential test adds `path`, the votes for
`selected` at its looks; an attack adds `eps` and `l2`, how far it was allowed to go and how far it went, in pixel units. Radii
are rounded down, l2 is rounded up.
"""

from rszoo.logs.format.lines import Record, logged_radius, round_down
from rszoo.logs.format.log import Log, read_log
from rszoo.logs.format.protocol import (
    AnyProtocol,
    AttackProtocol,
    CertifyProtocol,
    PredictProtocol,
    validated,
)
from rszoo.logs.format.writer import LogWriter, merge

__all__ = [
    "AnyProtocol",
    "AttackProtocol",
    "CertifyProtocol",
    "Log",
    "LogWriter",
    "PredictProtocol",
    "Record",
    "logged_radius",
    "merge",
    "read_log",
    "round_down",
    "validated",
]
