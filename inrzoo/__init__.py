"""inrzoo: datasets of implicit neural representations. Fit, verify, publish, stream."""

from typing import Any

__all__ = ["__version__", "open_store"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the public names when they are asked for, so that `import inrzoo` costs nothing (PEP 562)."""
    if name == "open_store":
        from inrzoo.store import open_store

        return open_store
    raise AttributeError(f"module 'inrzoo' has no attribute {name!r}")
