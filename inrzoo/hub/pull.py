"""Pulls a store from the Hub: whole, its first seeds, or the shards of some splits.

Files are collected in a folder beside the store, each verified by its recorded sha256. When all have arrived, the store
is created or exchanged. The writer's lock is held throughout, because the exchange would discard a concurrent build.
The same call continues after an interruption.
"""

import hashlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock

from rich.filesize import decimal

from inrzoo import stats
from inrzoo.errors import InrzooError
from inrzoo.hub.errors import explained
from inrzoo.hub.remote import Address, Entry, Snapshot, download, git_hash, resolve
from inrzoo.store import Store, open_store
from inrzoo.store.files import free_bytes, sha256, sync_tree, write_atomically
from inrzoo.store.intact import wrong_files
from inrzoo.store.links import require_no_links
from inrzoo.store.lock import only_writer
from inrzoo.store.names import is_data, is_metadata
from inrzoo.store.replace import exchange, settle
from inrzoo.store.subset import keep_seeds, keep_splits, link_or_copy, seed_of, shard_of, shards_of_splits

OnBytes = Callable[[int, int], None]
"""Called with the numbers of received and of all bytes."""
ATTEMPTS = 3
"""Maximum number of downloads of one file that arrives damaged."""


@dataclass(frozen=True)
class Pulled:
    """The result of a pull.

    Attributes:
        path: the store.
        version: N of the tag vN, None for another revision.
        commit: the commit.
        num_bytes: number of bytes that this call fetched.
        seeds, num_seeds: numbers of local seeds and of all seeds.
        splits: the requested splits, if shards of others were left out; else empty.
    """

    path: Path
    version: int | None
    commit: str
    num_bytes: int
    seeds: int
    num_seeds: int
    splits: list[str]


def pull(
    address: str,
    out: Path | None = None,
    *,
    revision: str | None = None,
    splits: list[str] | None = None,
    seeds: int | None = None,
    on_bytes: OnBytes = lambda done, total: None,
) -> Pulled:
    """Pull a store from the Hub.

    Args:
        address: `USER/NAME` or `hf://datasets/USER/NAME[@revision]`.
        out: folder of the store, `NAME.zarr` by default. An existing part of the same dataset is completed, and its
            damaged or missing files are fetched again.
        revision: version, branch or commit; the newest version by default.
        splits: fetch only the shards of these splits. The axes stay, other INRs are pending, and `Store.partial`
            contains the splits.
        seeds: number of seeds to fetch, from the first. The store has the bytes of one built with as many seeds.
        on_bytes: called with the progress.

    Raises:
        InrzooError: one line; received data are safe and the same call continues.
    """
    parsed = Address.parse(address)
    if revision is not None:
        parsed = Address(parsed.repo_id, revision)
    target = out or Path(f"{parsed.repo_id.split('/')[1]}.zarr")
    with explained(parsed.repo_id), only_writer(target):
        settle(target)
        return _pull(resolve(parsed), target, splits or [], seeds, on_bytes)


def _pull(snapshot: Snapshot, out: Path, splits: list[str], seeds: int | None, on_bytes: OnBytes) -> Pulled:
    num_seeds = _checked(snapshot, seeds)
    entries = snapshot.files()
    _require_intact_root(snapshot, entries.get(f"{snapshot.store}/zarr.json"))
    before = _root(out)
    num_seeds, splits = _with_local_part(out, num_seeds, splits)
    fetched = 0
    gathering = _Gathering(snapshot, entries, out, on_bytes)
    names = [name for name in snapshot.info.checksums if (seed_of(name) or 0) < num_seeds]
    if not _is_part(out, snapshot, num_seeds, splits):
        gathering.require_space(names if not splits else [name for name in names if shard_of(name) is None])
        gathering.fetch([name for name in names if shard_of(name) is None])
        store = gathering.open()
        shards = set(range(store.partition.num_shards))
        if splits:
            shards = shards_of_splits(store.partition, store.split, store.info.split_names, splits)
        requested = [name for name in names if shard_of(name) is None or shard_of(name) in shards]
        gathering.require_space(requested)
        fetched = gathering.fetch(requested)
        _finish(gathering, requested, num_seeds, splits, shards)
        if _root(out) != before:
            raise InrzooError(
                f"{out} was changed by another process during the pull and was left unchanged; pull again"
            )
        exchange(gathering.store, out)
        shutil.rmtree(gathering.home, ignore_errors=True)
    store = open_store(out)
    total = snapshot.info.manifest.seeds
    return Pulled(out, snapshot.version, snapshot.commit, fetched, store.num_seeds, total, store.partial)


def _checked(snapshot: Snapshot, seeds: int | None) -> int:
    """Return the number of seeds to fetch, after checking its range."""
    total = snapshot.info.manifest.seeds
    if seeds is not None and not 1 <= seeds <= total:
        raise InrzooError(f"--seeds {seeds} is not allowed; {snapshot.repo_id} has 1 to {total}")
    return total if seeds is None else seeds


def _require_intact_root(snapshot: Snapshot, entry: Entry | None) -> None:
    """Verify the root, whose checksums verify all other files, against the commit."""
    if entry is None or not entry.holds(hashlib.sha256(snapshot.root).hexdigest(), git_hash(snapshot.root)):
        raise InrzooError(f"{snapshot.store}/zarr.json arrived damaged; run the same command again")


def _is_part(out: Path, snapshot: Snapshot, num_seeds: int, splits: list[str]) -> bool:
    """Return whether the store at `out` has the request; refuse to replace anything but a part of this dataset."""
    if not out.exists():
        return False
    local, theirs = open_store(out), snapshot.info
    if local.info.fingerprint != theirs.fingerprint:
        raise InrzooError(f"{out} holds other INRs than {snapshot.repo_id}; give another --out")
    if not local.complete and not local.partial:
        raise InrzooError(f"{out} is being built; complete its build, or give another --out")
    for name, digest in local.info.checksums.items():
        shared = is_data(name) and (seed_of(name) or 0) < theirs.manifest.seeds
        if shared and theirs.checksums.get(name) != digest:
            raise InrzooError(
                f"{out} has the same INRs with other last bits (first in {name}), fitted in another environment; "
                "give another --out"
            )
    if local.num_seeds < num_seeds:
        return False
    if local.num_seeds > theirs.manifest.seeds:
        raise InrzooError(
            f"{out} has {local.num_seeds} seeds, {snapshot.repo_id} {theirs.manifest.seeds}; give another --out"
        )
    enough = not local.partial or (bool(splits) and set(splits) <= set(local.partial))
    return enough and _is_intact(local)


def _is_intact(store: Store) -> bool:
    """Return whether all files of a store are present and match their sha256."""
    return all(map(store.is_done, store.expected_blocks())) and not wrong_files(store.path, store.info)


def _with_local_part(out: Path, num_seeds: int, splits: list[str]) -> tuple[int, list[str]]:
    """Extend the request by an existing local part, which is never replaced by another part."""
    if not out.exists() or not splits or not open_store(out).partial:
        return num_seeds, splits
    local = open_store(out)
    return max(num_seeds, local.num_seeds), [*local.partial, *(name for name in splits if name not in local.partial)]


class _Gathering:
    """The folder beside a store in which its files are collected."""

    def __init__(self, snapshot: Snapshot, entries: dict[str, Entry], out: Path, on_bytes: OnBytes) -> None:
        self.snapshot, self.entries, self.out, self.on_bytes = snapshot, entries, out, on_bytes
        place = out.resolve()
        self.home = place.with_name(f".{place.name}.pull")
        self.store = self.home / snapshot.store
        require_no_links(self.home)
        self._verified: set[str] = set()
        self._fetched, self._lock, self._stop = 0, Lock(), Event()

    def size(self, name: str) -> int:
        path = f"{self.snapshot.store}/{name}"
        if path not in self.entries:
            raise InrzooError(f"{self.snapshot.repo_id} lacks {path}; it was changed by hand after the push")
        return self.entries[path].size

    def require_space(self, names: list[str]) -> None:
        """Check that the disk has space for the missing files."""
        lacking = [name for name in names if not (self.store / name).exists() and not (self.out / name).exists()]
        needed, free = sum(map(self.size, lacking)), free_bytes(self.home)
        if needed > free:
            raise InrzooError(f"{self.out} needs {decimal(needed)} more, the disk has {decimal(free)} free")

    def fetch(self, names: list[str]) -> int:
        """Fetch the missing files. Return the number of bytes fetched by all calls."""
        total, done = sum(map(self.size, names)), 0
        self.on_bytes(0, total)

        def bring(name: str) -> None:
            nonlocal done
            if name not in self._verified:
                self._bring(name)
            with self._lock:
                self._verified.add(name)
                done += self.size(name)
                self.on_bytes(done, total)

        with ThreadPoolExecutor(4) as pool:
            try:
                for _ in pool.map(bring, names):
                    pass
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return self._fetched

    def open(self) -> Store:
        """Open the store with the files that have arrived."""
        self.store.mkdir(parents=True, exist_ok=True)
        write_atomically(self.store / "zarr.json", self.snapshot.root, self.store)
        return open_store(self.store)

    def _bring(self, name: str) -> None:
        digest, path = self.snapshot.info.checksums[name], self.store / name
        for local in (path, self.out / name):
            if local.is_file() and sha256(local) == digest:
                if local != path:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.unlink(missing_ok=True)
                    link_or_copy(local, path, copy=is_metadata(name))
                return
        for _ in range(ATTEMPTS):
            path.unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{path.name}.partial")
            snapshot, size = self.snapshot, self.size(name)
            download(snapshot.repo_id, snapshot.commit, f"{snapshot.store}/{name}", partial, size, self._stop)
            with self._lock:
                self._fetched += size
            if sha256(partial) == digest:
                partial.rename(path)
                return
            partial.unlink()
        raise InrzooError(f"{name} of {self.snapshot.repo_id} arrived damaged {ATTEMPTS} times: its sha256 is wrong")


def _finish(gathering: _Gathering, requested: list[str], num_seeds: int, splits: list[str], shards: set[int]) -> None:
    """Make a store of exactly the requested files."""
    for path in [file for file in gathering.store.rglob("*") if file.is_file()]:
        if str(path.relative_to(gathering.store)) not in {*requested, "zarr.json"}:
            path.unlink()  # left by an interrupted pull of another version or of a larger part
    fewer = num_seeds < gathering.snapshot.info.manifest.seeds
    if fewer:
        keep_seeds(gathering.store, num_seeds)
    if splits:
        keep_splits(gathering.store, splits, shards)
    if fewer and open_store(gathering.store).partial == []:
        stats.run(open_store(gathering.store))
    sync_tree(gathering.store)


def _root(out: Path) -> bytes | None:
    """Read the root of the store at `out`, which every change of a store changes; None if there is none."""
    try:
        return (out / "zarr.json").read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
