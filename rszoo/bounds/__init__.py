"""Confidence bounds: from votes to certified radii. Pure functions of numbers, float64, no torch.

A rule of `BOUNDS` turns the votes of the estimation samples into a radius in units of sigma that
exceeds the true one with probability at most alpha; `l2_radius` converts it to pixel units. Choose
the rule before the votes are drawn.
"""

from rszoo.bounds.binomial import clopper_pearson_lower, clopper_pearson_upper, minimum_n
from rszoo.bounds.joint import joint
from rszoo.bounds.prediction import (
    hung_fithian,
    minimum_n_predict,
    predict_looks,
    sequential_hung_fithian,
)
from rszoo.bounds.prior_work import cohen_radius, lecuyer_radius, li_radius
from rszoo.bounds.radius import (
    BOUNDS,
    RadiusRule,
    bonferroni,
    cohen,
    implied_linf,
    implying_l2,
    l2_radius,
    radius_upper,
)
from rszoo.bounds.sequential import POWER, RadiusTest, futile, predictive_power
from rszoo.bounds.soft import (
    empirical_bernstein_lower,
    empirical_bernstein_upper,
    hoeffding_lower,
    hoeffding_upper,
    lipschitz_radius,
    soft_radius,
)
from rszoo.bounds.spending import critical_values, looks
from rszoo.bounds.tcertify import tcertify
from rszoo.bounds.test_set import (
    certified_accuracy_lower,
    certified_accuracy_lower_bernstein,
    overstated_images,
    surprise,
)
from rszoo.bounds.two_stage import two_stage_n
from rszoo.bounds.votes import RadiusBound

__all__ = [
    "BOUNDS",
    "POWER",
    "RadiusBound",
    "RadiusRule",
    "RadiusTest",
    "bonferroni",
    "certified_accuracy_lower",
    "certified_accuracy_lower_bernstein",
    "clopper_pearson_lower",
    "clopper_pearson_upper",
    "cohen",
    "cohen_radius",
    "critical_values",
    "empirical_bernstein_lower",
    "empirical_bernstein_upper",
    "futile",
    "hoeffding_lower",
    "hoeffding_upper",
    "hung_fithian",
    "implied_linf",
    "implying_l2",
    "joint",
    "l2_radius",
    "lecuyer_radius",
    "li_radius",
    "lipschitz_radius",
    "looks",
    "minimum_n",
    "minimum_n_predict",
    "overstated_images",
    "predict_looks",
    "predictive_power",
    "radius_upper",
    "sequential_hung_fithian",
    "soft_radius",
    "surprise",
    "tcertify",
    "two_stage_n",
]
