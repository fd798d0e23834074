"""Fitting batches of INRs on one device. Knows nothing of stores, files or clusters."""

from inrzoo.fit.engines import choose, choose_products, engine, serving
from inrzoo.fit.loop import fit
from inrzoo.fit.problem import FitProblem
from inrzoo.fit.result import STATUS_NAMES, Fit, Status

__all__ = ["STATUS_NAMES", "Fit", "FitProblem", "Status", "choose", "choose_products", "engine", "fit", "serving"]
