"""What logs say: summaries, projections, comparisons, and what is wrong with a log. No torch."""

from rszoo.logs.analysis.audit import Finding, audit
from rszoo.logs.analysis.comparison import Comparison, check_comparable, compare, with_marks
from rszoo.logs.analysis.empirical import EmpiricalRow, attacked_distances, empirical_rows
from rszoo.logs.analysis.prediction import PredictRow, predict_rows
from rszoo.logs.analysis.projection import RULES, Projection, project
from rszoo.logs.analysis.published import Published, find_published, load_published
from rszoo.logs.analysis.summary import Results, lower_bounds, proved, results, vote_share

__all__ = [
    "RULES",
    "Comparison",
    "EmpiricalRow",
    "Finding",
    "PredictRow",
    "Projection",
    "Published",
    "Results",
    "attacked_distances",
    "audit",
    "check_comparable",
    "compare",
    "empirical_rows",
    "find_published",
    "load_published",
    "lower_bounds",
    "predict_rows",
    "project",
    "proved",
    "results",
    "vote_share",
    "with_marks",
]
