"""The end of an error for an unknown name: the nearest one that exists, and all that exist."""

from collections.abc import Iterable


def hint(name: object, names: Iterable[str]) -> str:
    """Return ` (did you mean 'siren'?)` if a name is near, else nothing. Case, `-` and `_` make no difference.

    >>> hint("Siern", ["relu_mlp", "siren"])
    " (did you mean 'siren'?)"
    """
    import difflib  # slow to import, and only errors need it

    plain = {_plain(each): each for each in names}
    nearest = difflib.get_close_matches(_plain(name), plain, n=1)
    return f" (did you mean {plain[nearest[0]]!r}?)" if nearest else ""


def among(name: object, names: Iterable[str], listed: str = "there are") -> str:
    """Return the end of the error for `name`.

    >>> "no split 'tset'" + among("tset", ["train", "test"])
    "no split 'tset' (did you mean 'test'?); there are: train, test"
    """
    known = list(names)
    return f"{hint(name, known)}; {listed}: {', '.join(known) or 'none'}"


def _plain(name: object) -> str:
    return str(name).lower().replace("-", "_")
