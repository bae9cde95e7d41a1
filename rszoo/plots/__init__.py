"""Pictures: data in, a matplotlib `Figure` out. Needs the extra `plots`; touches no global state of matplotlib."""

from rszoo.plots.certificates import OTHER, RIGHT, WRONG, Panel, draw_certificates
from rszoo.plots.curves import Curve, draw_curves
from rszoo.plots.saving import save_figure

__all__ = [
    "OTHER",
    "RIGHT",
    "WRONG",
    "Curve",
    "Panel",
    "draw_certificates",
    "draw_curves",
    "save_figure",
]
