"""A data set through CERTIFY, PREDICT or an attack into a log, and certificates put to the test by attacks."""

from rszoo.attacks.attacker import Attacked, Attacker, Target, attack
from rszoo.evaluation.attacking import AttackEvaluation
from rszoo.evaluation.certification import Evaluation
from rszoo.evaluation.logged import LoggedEvaluation
from rszoo.evaluation.protocols import PAPERS, usual_protocol
from rszoo.evaluation.tightness import CertificateAttack, Tightness, put_to_the_test, tally

__all__ = [
    "PAPERS",
    "AttackEvaluation",
    "Attacked",
    "Attacker",
    "CertificateAttack",
    "Evaluation",
    "LoggedEvaluation",
    "Target",
    "Tightness",
    "attack",
    "put_to_the_test",
    "tally",
    "usual_protocol",
]
