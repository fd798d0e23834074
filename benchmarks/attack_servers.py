"""Hostile servers."""

from attack_workshop import Outcome, Workshop


def deceived(shop: Workshop, number: int) -> Outcome:
    """Later."""
    raise NotImplementedError
