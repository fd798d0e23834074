"""The task of the tests of the board, and their encoders, trusted as those that a user names are."""

import pytest
from planted_encoders import Batch, Mean, Position, Thief

from inrzoo import open_store, trust
from inrzoo.leaderboard import BenchmarkTask, content_sha256
from inrzoo.registry import trusted


@pytest.fixture(scope="session", autouse=True)
def planted():
    """The encoders of `planted_encoders` can be named."""
    for cls in (Mean, Batch, Position, Thief):
        trust.trust("encoders", f"planted_encoders:{cls.__name__}")
    yield
    for key in [key for key in trusted if key[1].startswith("planted_encoders")]:
        del trusted[key]


@pytest.fixture
def definition(finished) -> BenchmarkTask:
    return BenchmarkTask(
        name="tiny",
        title="Tiny",
        build={"dataset": "digits", "limit": 20, "settings": {"fit.steps": 30}},
        content_sha256=content_sha256(open_store(finished)),
        train="classify",
        measure="accuracy",
        rule="Training split alone.",
        defaults={"lr": 1e-2},
    )
