"""The commands as functions: `inrzoo.build`, `inrzoo.train`, `inrzoo.evaluate`,
`inrzoo.load_encoder`, `inrzoo.diff`, `inrzoo.merge`, `inrzoo.subset`, `inrzoo.convert`, `inrzoo.generate`.

Their keywords have the names and defaults of the command line's options; the command line calls these functions.
"""

from inrzoo.api.building import BuildRequest, build, build_request
from inrzoo.api.encoders import is_leaderboard_run, load_encoder, push_encoder
from inrzoo.api.gathering import convert, diff, merge, subset
from inrzoo.api.generating import generate
from inrzoo.api.training import evaluate, signals, train

__all__ = [
    "BuildRequest",
    "build",
    "build_request",
    "convert",
    "diff",
    "evaluate",
    "generate",
    "is_leaderboard_run",
    "load_encoder",
    "merge",
    "push_encoder",
    "signals",
    "subset",
    "train",
]
