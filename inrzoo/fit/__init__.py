"""Fitting batches of INRs on one device. Knows nothing of stores, files or clusters."""

from inrzoo.fit.engines import choose, choose_products, engine, serving
from inrzoo.fit.loop import fit
from inrzoo.fit.problem import FitProblem
from inrzoo.fit.result import Fit

__all__ = ["Fit", "FitProblem", "choose", "choose_products", "engine", "fit", "serving"]
