"""Fitting batches of INRs on one device. Knows nothing of stores, files or clusters."""

from inrzoo.fit.loop import STATUS_NAMES, Fit, Status, fit

__all__ = ["STATUS_NAMES", "Fit", "Status", "fit"]
