"""What logs say: summaries, projections to other budgets, comparisons, and what is wrong with a log. No torch."""

from rszoo.logs.analysis.audit import Finding, audit
from rszoo.logs.analysis.comparison import Best, Comparison, check_comparable, compare, envelope
from rszoo.logs.analysis.empirical import (
    EmpiricalRow,
    attacked_distances,
    described,
    empirical_rows,
    is_attack,
)
from rszoo.logs.analysis.prediction import PredictRow, predict_rows
from rszoo.logs.analysis.projection import RULES, project
from rszoo.logs.analysis.published import Published, find_published, load_published
from rszoo.logs.analysis.setting import (
    Given,
    Projection,
    Setting,
    answers,
    setting_of,
    tested_radii,
)
from rszoo.logs.analysis.summary import Results, lower_bounds, proved, results, vote_share

__all__ = [
    "RULES",
    "Best",
    "Comparison",
    "EmpiricalRow",
    "Finding",
    "Given",
    "PredictRow",
    "Projection",
    "Published",
    "Results",
    "Setting",
    "answers",
    "attacked_distances",
    "audit",
    "check_comparable",
    "compare",
    "described",
    "empirical_rows",
    "envelope",
    "find_published",
    "is_attack",
    "load_published",
    "lower_bounds",
    "predict_rows",
    "project",
    "proved",
    "results",
    "setting_of",
    "tested_radii",
    "vote_share",
]
