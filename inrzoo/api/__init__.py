"""The commands as functions: `inrzoo.build`, `inrzoo.train`, `inrzoo.evaluate`.

Their keywords have the names and defaults of the command line's options; the command line calls these functions.
"""

from inrzoo.api.building import BuildRequest, build, build_request
from inrzoo.api.encoders import load_encoder, push_encoder
from inrzoo.api.training import evaluate, signals, train

__all__ = ["BuildRequest", "build", "build_request", "evaluate", "load_encoder", "push_encoder", "signals", "train"]
