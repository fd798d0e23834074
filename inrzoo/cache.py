"""The cache folder of this user: files that a later run would otherwise fetch or compile again."""

import os
from pathlib import Path
from typing import Literal

Kind = Literal["downloads", "kernels", "models", "signals", "stores"]


def cache_folder(kind: Kind) -> Path:
    """Return the folder of one kind of cached files, which need not exist.

    It is `$INRZOO_CACHE/KIND`; without that variable `inrzoo/KIND` in the user's cache (`$XDG_CACHE_HOME`, `~/.cache`).

    Args:
        kind: `downloads` (archives of sources), `kernels` (compiled engines), `models` (trained encoders of the Hub),
            `signals` (of builds in a bucket) or `stores` (files of remote stores).
    """
    named = os.environ.get("INRZOO_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return (Path(named) if named else Path(home) / "inrzoo") / kind
