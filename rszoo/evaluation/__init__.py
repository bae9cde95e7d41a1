"""Run CERTIFY, PREDICT or an attack over a data set and log it; challenge logged certificates."""

from rszoo.attacks.attacker import Attacked, Attacker, Target, attack
from rszoo.evaluation.attacking import AttackEvaluator
from rszoo.evaluation.evaluator import Evaluator, VotingEvaluator
from rszoo.evaluation.logged import (
    AttackEvaluation,
    BeforeWriting,
    Evaluation,
    LoggedEvaluation,
)
from rszoo.evaluation.options import (
    AttackOptions,
    CertifyOptions,
    ChallengeOptions,
    Options,
    PredictOptions,
    SoftOptions,
)
from rszoo.evaluation.protocols import (
    PAPERS,
    check_same_data,
    software,
    usual_protocol,
    versions,
)
from rszoo.evaluation.tightness import Challenge, Tightness, challenge, tally

__all__ = [
    "PAPERS",
    "AttackEvaluation",
    "AttackEvaluator",
    "AttackOptions",
    "Attacked",
    "Attacker",
    "BeforeWriting",
    "CertifyOptions",
    "Challenge",
    "ChallengeOptions",
    "Evaluation",
    "Evaluator",
    "LoggedEvaluation",
    "Options",
    "PredictOptions",
    "SoftOptions",
    "Target",
    "Tightness",
    "VotingEvaluator",
    "attack",
    "challenge",
    "check_same_data",
    "software",
    "tally",
    "usual_protocol",
    "versions",
]
