"""inrzoo: datasets of implicit neural representations. Fit, verify, publish, stream."""

from typing import Any

__all__ = ["__version__", "load", "open_store"]
__version__ = "0.2.0"


def load(path: Any, **options: Any) -> Any:
    """Load INRs for training, from a folder, a URL, or several of them; see `inrzoo.loaders.load`."""
    from inrzoo import loaders

    several = isinstance(path, list | tuple)
    located = [_pinned(each) for each in path] if several else _pinned(path)
    return loaders.load(located, **options)


def _pinned(path: Any) -> Any:
    """A dataset on the Hub may move under a tag: its commit is looked up once, and everything is read from there."""
    if not str(path).startswith("hf://"):
        return path
    from inrzoo.hub import pin

    return pin(path)


def __getattr__(name: str) -> Any:
    """Import the public names when they are asked for, so that `import inrzoo` costs nothing (PEP 562)."""
    if name == "open_store":
        from inrzoo.store import open_store

        return open_store
    raise AttributeError(f"module 'inrzoo' has no attribute {name!r}")
