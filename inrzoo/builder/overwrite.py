"""`build --overwrite`: the new store is built beside the old one and takes its place when it is complete.

Until then the old store is as it was, whatever happens. The new one lies in `.NAME.new`. From the moment it is complete
until the old one is gone it holds the file `.replaces`, which tells an interrupted exchange from a finished one.
"""

from pathlib import Path

from inrzoo.builder.preparation import Request, read_source, require_same
from inrzoo.errors import InrzooError
from inrzoo.store import Location, ObjectPath, Store, open_store
from inrzoo.store.files import clear, is_there, remove_tree, sync
from inrzoo.store.objects import copy_tree
from inrzoo.store.replace import exchange

MARK = ".replaces"


def beside(out: Location) -> Location:
    """Where the store that is to replace the one at `out` is built."""
    return out.with_name(f".{out.name}.new")


def place_of_new(request: Request) -> Location:
    """Where the store that replaces another is built; what an interrupted call of the same request built is kept.

    Raises:
        InrzooError: what stands at `request.out` is not a store, and is never removed.
    """
    out = request.out
    new = beside(out)
    if is_there(out):
        open_store(out)
    if isinstance(out, Path) and (out / MARK).exists():  # exchanged already; the old one may still be there
        clear(out.with_name(new.name))
        (out / MARK).unlink()
        if _is_of(request, out):
            return out
    if is_there(new) and not _is_of(request, new):
        remove_tree(new)
    return new


def put_in_place(new: Location, out: Location) -> None:
    """Let a complete store take the place of the one at `out`. In one step in a folder.

    A bucket cannot exchange objects: the old ones are removed, then the new ones copied, the root last. A call that was
    interrupted meanwhile leaves the whole new store beside the place, and the same command copies it again.
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
    """Whether the store at `place` is one that this request begins or continues, from the same source files."""
    try:
        store: Store = open_store(place)
        require_same(store, request)
        return store.info.source_checksums == read_source(request.manifest, request.source).checksums
    except InrzooError:
        return False
