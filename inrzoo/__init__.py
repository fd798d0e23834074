"""inrzoo: datasets of implicit neural representations. Fit, verify, publish, stream.

report = inrzoo.build("digits", seeds=2)
store = inrzoo.open_store("digits.zarr")
stream = inrzoo.load("digits.zarr", split="train", streaming=True, shuffle=True)
run = inrzoo.train("classify", "digits.zarr")
inrzoo.evaluate(run.folder, "digits.zarr")
encoder = inrzoo.load_encoder(run.folder)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inrzoo.addresses import open_store
    from inrzoo.api import build, convert, diff, evaluate, generate, load_encoder, merge, subset, train
    from inrzoo.loaders import load

__all__ = [
    "__version__",
    "build",
    "convert",
    "diff",
    "evaluate",
    "generate",
    "load",
    "load_encoder",
    "merge",
    "open_store",
    "subset",
    "train",
]
__version__ = "0.2.0"

_HOMES = dict.fromkeys(
    ("build", "convert", "diff", "evaluate", "generate", "load_encoder", "merge", "subset", "train"), "api"
)
_HOMES |= {"load": "loaders", "open_store": "addresses"}
"""The room of each public name."""


def __getattr__(name: str) -> Any:
    """Import public names at their first use, so that `import inrzoo` is fast (PEP 562)."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"inrzoo.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'inrzoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
