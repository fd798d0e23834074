"""Paths in a list of files, written on another machine or from another folder: they are brought below a folder here."""

from pathlib import Path, PurePosixPath

from inrzoo.errors import InrzooError


def rebase(folder: Path, path: str, listed_in: Path, root: str | None) -> PurePosixPath:
    """Return a listed path relative to `folder`, without resolving links.

    Args:
        folder: the folder that holds the files here.
        path: the path as it is listed.
        listed_in: the list, for the error.
        root: the beginning of the listed paths that `folder` stands for; None if they are relative to the list.

    Raises:
        InrzooError: the path does not begin with `root`, or leads out of the folder; the message proposes a root.

    Example:
        >>> rebase(Path("here"), "/data/set/0/net1.pth", Path("splits.json"), "/data/set")
        PurePosixPath('0/net1.pth')
    """
    pure = PurePosixPath(path if root is None else path.replace("\\", "/"))
    home = PurePosixPath(folder.resolve().as_posix())
    if root is not None:
        beginning = PurePosixPath(root.replace("\\", "/"))
        if not pure.is_relative_to(beginning):
            raise InrzooError(f"{listed_in} names {path}, which does not begin with --root {root}")
        pure = pure.relative_to(beginning)
    elif pure.is_absolute() and pure.is_relative_to(home):
        pure = pure.relative_to(home)
    if pure.is_absolute() or ".." in pure.parts:
        raise InrzooError(
            f"{listed_in} names {path}, outside {folder}; paths must be relative to the folder of the file"
            f"{proposal(folder, path)}"
        )
    return pure


def proposal(folder: Path, path: str) -> str:
    """Return the end of an error for a path that is not in `folder`: the root below which it is, or nothing."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    for count in range(1, len(parts)):
        tail = parts[count:]
        try:
            exists = ".." not in tail and folder.joinpath(*tail).is_file()
        except (OSError, ValueError):  # a name that no file can have
            exists = False
        if exists:
            root = PurePosixPath(*parts[:count])
            return f"; the folder has {PurePosixPath(*tail)}: pass --root {root}"
    return ""
