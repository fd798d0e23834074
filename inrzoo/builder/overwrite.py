"""`build --overwrite`: the new store is built beside the old one and replaces it when it is complete.

Until then the old store does not change. The new one is built in `.NAME.new`. From its completion until the old one is
removed it contains the file `.replaces`, which marks an interrupted exchange.
"""

from pathlib import Path

from inrzoo.builder.preparation import Request, require_same
from inrzoo.errors import InrzooError
from inrzoo.store import Location, ObjectPath, Store, open_store
from inrzoo.store.files import clear, is_there, remove_tree, sync
from inrzoo.store.objects import copy_tree
from inrzoo.store.replace import exchange
from inrzoo.unfitted import read_source

MARK = ".replaces"


def beside(out: Location) -> Location:
    """Return the location at which the replacement of the store at `out` is built."""
    return out.with_name(f".{out.name}.new")


def location_of_new(request: Request) -> Location:
    """Return the location of the new store; one that an interrupted call of the same request left is continued.

    Raises:
        InrzooError: `request.out` is not a store, which is never removed.
    """
    out = request.out
    new = beside(out)
    if is_there(out):
        open_store(out)
    if isinstance(out, Path) and (out / MARK).exists():  # already exchanged; the old store may remain
        settle_exchange(out)
        if _is_of(request, out):
            return out
    if is_there(new) and not _is_of(request, new):
        remove_tree(new)
    return new


def settle_exchange(out: Path) -> None:
    """Finish an exchange that was interrupted after the new store had taken its place."""
    if (out / MARK).exists():
        clear(out.with_name(f".{out.name}.new"))
        (out / MARK).unlink()


def put_in_place(new: Location, out: Location) -> None:
    """Replace the store at `out` by a complete one; in a folder this is one atomic step.

    A bucket cannot exchange objects: the old ones are removed, then the new ones copied, the root last. An interrupted
    call leaves the complete new store beside `out`, and the same command copies it again.
    """
    if isinstance(new, ObjectPath) or isinstance(out, ObjectPath):
        assert isinstance(new, ObjectPath) and isinstance(out, ObjectPath)
        remove_tree(out)
        copy_tree(new, out, last="zarr.json")
        remove_tree(new)
        return
    (new / MARK).touch()
    sync(new)
    exchange(new, out)
    (out / MARK).unlink()


def _is_of(request: Request, place: Location) -> bool:
    """Return whether the store at `place` has the settings and source files of this request."""
    try:
        store: Store = open_store(place)
        require_same(store, request)
        return store.info.source_checksums == read_source(request.manifest, request.source).checksums
    except InrzooError:
        return False
