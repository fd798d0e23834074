"""Publishes a store on the Hub.

First come commits of data that no version or card refers to, then metadata and card in one commit, then the tag. The
same call continues after an interruption, because files that have arrived are recognised by their sha256. A version
never changes or removes a file of an earlier one: versions only add seeds.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import HfApi, get_token
from huggingface_hub.utils import validate_repo_id

from inrzoo.errors import InrzooError
from inrzoo.hub import gallery as space
from inrzoo.hub.branch import Branch
from inrzoo.hub.croissant import Release
from inrzoo.hub.describe import describe
from inrzoo.hub.errors import LOG_IN, explained, retrying, status_of
from inrzoo.hub.header import says_images
from inrzoo.hub.remote import DATASET, Address, Entry, Snapshot, local_entry, resolve, tree, versions
from inrzoo.hub.snapshot import snapshot
from inrzoo.interchange.parquet import Part, has_images, parts, write_part
from inrzoo.manifest import differences
from inrzoo.store import Store, open_store
from inrzoo.store.names import is_data
from inrzoo.store.root import own_files
from inrzoo.verify import Findings

OnBytes = Callable[[int, int], None]
"""Called with the numbers of sent and of all bytes."""
MAIN = "main"


@dataclass(frozen=True)
class Pushed:
    """The result of a push.

    Attributes:
        repo_id: `USER/NAME`.
        version: N of the tag vN; None for a branch or a pull request.
        commit: the commit.
        num_bytes: number of bytes that this call sent.
        changed: whether anything was sent.
        where: URL of the page.
        repaired: files that the version before lacks or has damaged.
        gallery: URL of the Space that shows this version, if it was asked for.
    """

    repo_id: str
    version: int | None
    commit: str
    num_bytes: int
    changed: bool
    where: str
    repaired: tuple[str, ...] = ()
    gallery: str | None = None


def push(
    path: str | Path,
    repo_id: str,
    *,
    verify: Callable[[Path], Findings],
    private: bool = False,
    revision: str = MAIN,
    create_pr: bool = False,
    partial: bool = False,
    images: bool = True,
    gallery: bool = False,
    on_bytes: OnBytes = lambda done, total: None,
) -> Pushed:
    """Publish a store as the next version of a dataset, unless it is already published.

    Args:
        path: the store, or its URL, which is fetched first.
        repo_id: `USER/NAME`.
        verify: verifies the store; nothing is sent if it finds a problem.
        private: whether a new dataset is private.
        revision: branch; only `main` has version tags.
        create_pr: whether to push to a pull request, for users without write access. After merging it, its owner pushes
            again for the tag.
        partial: whether to publish the finished seeds of an unfinished store.
        images: whether rows have a small picture of their INR. Later versions have the columns of the first one.
        gallery: whether to publish a Space of the same name, too, which shows the INRs of the version in browsers.
        on_bytes: called with the progress.

    Raises:
        InrzooError: one line; sent data are safe and the same call continues.
    """
    with explained(repo_id):
        validate_repo_id(repo_id)
        if Address.parse(repo_id) != Address(repo_id):
            raise InrzooError(f"{repo_id} cannot be a dataset's name: expected USER/NAME")
        if get_token() is None:
            raise InrzooError(f"no token for the Hub; {LOG_IN}")
        if gallery and (create_pr or revision != MAIN):
            raise InrzooError("--gallery shows a version, and --revision and --create-pr make none; push it to main")
        with _snapshot(path, partial) as store:
            newest = _newest(repo_id, private)
            if gallery:
                space.require_possible(repo_id, private)
            pushed = _published(store, newest) if revision == MAIN and newest is not None else None
            if pushed is None:
                images = _with_images(store, newest, images)
                _require_sendable(store, newest, path, verify)
                retrying(
                    lambda: HfApi().create_repo(repo_id, repo_type=DATASET, private=private or None, exist_ok=True)
                )
                pushed = _push(store, repo_id, _target(repo_id, revision, create_pr), images, on_bytes)
            if not gallery:
                return pushed
            return replace(pushed, gallery=space.push_gallery(store, resolve(Address(repo_id, pushed.commit))))


def _published(store: Store, newest: Snapshot) -> Pushed | None:
    """Return the result of a push that has nothing to do; None if the newest version is not this store, whole."""
    if _missing(store, newest) != []:
        return None
    return Pushed(newest.repo_id, newest.version, newest.commit, 0, False, _page(newest.repo_id))


def _require_sendable(
    store: Store, newest: Snapshot | None, path: str | Path, verify: Callable[[Path], Findings]
) -> None:
    """Raise InrzooError if a store changes published INRs or fails verification; `path` names it."""
    if newest is not None:
        _require_extension(store, newest)
    findings = verify(_folder(store))
    if findings.problems:
        raise InrzooError(
            f"{path} fails verification and was not pushed ({len(findings.problems)} problem(s), the first: "
            f"{findings.problems[0]}); see inrzoo verify {path}"
        )


@contextmanager
def _snapshot(path: str | Path, partial: bool) -> Iterator[Store]:
    """Yield a snapshot of the store, which is fetched first from a URL."""
    if isinstance(path, str) and "://" in path:
        store = open_store(path)
        if store.cache is None:
            raise InrzooError(f"{path} is not complete; the same build command continues")
        path = store.cache.fetch_all()
    with snapshot(Path(path), partial) as store:
        yield store


def _missing(store: Store, newest: Snapshot) -> list[str] | None:
    """Return the files that the newest version lacks; None if it is a version of another store."""
    if newest.root != (_folder(store) / "zarr.json").read_bytes():
        return None
    return _lacking(store, newest.store, newest.files())


def _newest(repo_id: str, private: bool) -> Snapshot | None:
    """Return the newest version, or None."""
    api = HfApi()
    if not retrying(lambda: api.repo_exists(repo_id, repo_type=DATASET)):
        return None
    info = retrying(lambda: api.repo_info(repo_id, repo_type=DATASET))
    if private and not info.private:
        raise InrzooError(f"{repo_id} is already public; make it private on {_page(repo_id)}/settings, then push")
    return resolve(Address(repo_id)) if versions(repo_id) else None


def _with_images(store: Store, newest: Snapshot | None, images: bool) -> bool:
    """Return whether rows have pictures. Files of one dataset need the same columns: `datasets` refuses others."""
    if newest is not None:
        published = "README.md" in newest.files() and says_images(newest.read("README.md"))
        if published and not images:
            raise InrzooError(f"the rows of {newest.repo_id} have pictures, and versions share columns; no --no-images")
        images = published
    return has_images(store, images)


def _require_extension(store: Store, newest: Snapshot) -> None:
    """Refuse a push that would change or remove published INRs."""
    theirs, ours = newest.info, store.info
    name = f"{newest.repo_id} ({'not tagged yet' if newest.version is None else f'v{newest.version}'})"
    if theirs.fingerprint != ours.fingerprint:
        keys = "; ".join(differences(theirs.manifest.tables, ours.manifest.tables)) or "the signals"
        raise InrzooError(f"{name} holds other INRs ({keys}); push this store under another name")
    seeds, num_theirs = ours.manifest.seeds, theirs.manifest.seeds
    if seeds < num_theirs:
        raise InrzooError(f"{name} holds {num_theirs} seeds, this store has {seeds}; a version never removes any")
    for file, sha256 in theirs.checksums.items():
        if is_data(file) and ours.checksums.get(file) != sha256:
            raise InrzooError(
                f"{name} has the same INRs with other last bits (first in {file}), fitted in another "
                "environment; pull it and add seeds where it was fitted, or push under another name"
            )


def _target(repo_id: str, revision: str, create_pr: bool) -> str:
    """Return the branch to push to; create it if it is absent."""
    api, title = HfApi(), "Push INRs"
    if create_pr:
        user = retrying(api.whoami)["name"]
        opened = api.get_repo_discussions(
            repo_id, repo_type=DATASET, author=user, discussion_type="pull_request", discussion_status="open"
        )
        number = next((request.num for request in opened if request.title == title), None)
        if number is None:
            number = api.create_pull_request(repo_id, title, repo_type=DATASET).num
        return f"refs/pr/{number}"
    if revision != MAIN:
        retrying(lambda: api.create_branch(repo_id, branch=revision, repo_type=DATASET, exist_ok=True))
    return revision


def _push(store: Store, repo_id: str, revision: str, images: bool, on_bytes: OnBytes) -> Pushed:
    branch = Branch(repo_id, revision)
    folder = next((path.split("/")[0] for path in branch.entries if path.endswith(".zarr/zarr.json")), None)
    folder = folder or f"{repo_id.split('/')[1]}.zarr"
    if f"{folder}/zarr.json" in branch.entries:
        _require_extension(store, Snapshot(repo_id, branch.head, None, folder))
    newest, missing = _newest(repo_id, private=False), None
    if newest is not None:
        # Checked again, because another push may have finished during our verification.
        missing = _missing(store, newest)
        if revision == MAIN and missing == []:
            return Pushed(repo_id, newest.version, newest.commit, 0, False, _page(repo_id))
        _require_extension(store, newest)
        images = _with_images(store, newest, images)
    number = 1 + (newest.version or 0 if newest is not None else 0)
    tagged = range(0 if newest is None else newest.info.manifest.seeds)
    home = _folder(store)
    files, rows = own_files(home, store.info), parts(store, range(store.num_seeds))
    data = {f"{folder}/{file}": home / file for file in files if is_data(file)}
    metadata = {f"{folder}/{file}": home / file for file in ["zarr.json", *files]
                if not is_data(file)}  # fmt: skip
    sizes = {f"data/{part.name}": _row_bytes(store, part) for part in rows}
    total = sum(sizes.values()) + sum(path.stat().st_size for path in [*data.values(), *metadata.values()])
    done = 0

    def tick(size: int) -> None:
        nonlocal done
        done += size
        on_bytes(min(done, total), total)

    with tempfile.TemporaryDirectory(prefix="inrzoo-push-") as temporary:
        on_bytes(0, total)
        for path_in_repo, path in data.items():
            if branch.has(path_in_repo, path):
                tick(path.stat().st_size)
            else:
                branch.send(path_in_repo, path, tick)
        for part in rows:
            _send_rows(store, part, branch, Path(temporary), part.seed in tagged, images, tick, sizes)
        branch.commit("Add data", tick)
        named = {*data, *metadata, *sizes}
        stray = [path for path in branch.entries if path.startswith((f"{folder}/", "data/")) and path not in named]
        at = f"v{number}" if revision == MAIN else revision
        release = Release(store, repo_id, number, at, folder, branch.files(), images)
        metadata |= describe(release, Path(temporary))
        for path_in_repo, path in metadata.items():
            if not branch.has(path_in_repo, path):
                branch.send(path_in_repo, path, tick)
        branch.commit(f"Publish v{number}", tick, delete=stray)
    on_bytes(total, total)
    if revision != MAIN:
        where = f"{_page(repo_id)}/tree/{revision}"
        if revision.startswith("refs/pr/"):
            where = f"{_page(repo_id)}/discussions/{revision.removeprefix('refs/pr/')}"
        return Pushed(repo_id, None, branch.head, branch.sent, branch.num_commits > 0, where)
    if absent := _lacking(store, folder, tree(repo_id, branch.head)):
        raise InrzooError(f"the Hub lacks {len(absent)} file(s) that were sent (first {absent[0]}); push once more")
    _tag(repo_id, number, branch.head)
    return Pushed(repo_id, number, branch.head, branch.sent, True, _page(repo_id), tuple(missing or ()))


def _send_rows(
    store: Store,
    part: Part,
    branch: Branch,
    home: Path,
    tagged: bool,
    images: bool,
    tick: Callable[[int], None],
    sizes: dict[str, int],
) -> None:
    """Write one Parquet file, send it and remove it, so that the disk needs space for one."""
    path_in_repo = f"data/{part.name}"
    entry = branch.entries.get(path_in_repo)
    if (
        tagged and entry is not None and entry.size >= sizes[path_in_repo]
    ):  # another pyarrow would write other bytes for the same rows
        return tick(sizes[path_in_repo])
    path = home / part.name
    write_part(store, part, path, images)
    if branch.has(path_in_repo, path):
        path.unlink()
        tick(sizes[path_in_repo])
    else:
        branch.send(path_in_repo, path, lambda size: tick(sizes[path_in_repo]), temporary=True)
    return None


def _lacking(store: Store, folder: str, entries: Mapping[str, Entry]) -> list[str]:
    """Return the sorted paths of files that are absent from a commit or differ there.

    Args:
        store: a complete local store.
        folder: name of the store in the repository.
        entries: the files of the commit.
    """
    home = _folder(store)
    wrong = [path for path in ("README.md",) if path not in entries]
    for name, digest in {"zarr.json": None, **store.info.checksums}.items():
        if not _holds(entries.get(f"{folder}/{name}"), home / name, digest):
            wrong.append(f"{folder}/{name}")
    for part in parts(store, range(store.num_seeds)):
        entry = entries.get(f"data/{part.name}")
        if entry is None or entry.size < _row_bytes(store, part):
            wrong.append(f"data/{part.name}")
    return sorted(wrong)


def _row_bytes(store: Store, part: Part) -> int:
    """Return the bytes of the weights in a Parquet file, a lower bound of its size, which depends on pyarrow."""
    return 4 * (part.stop - part.start) * store.layout.num_params * len(store.snapshots)


def _holds(entry: Entry | None, path: Path, digest: str | None) -> bool:
    if entry is None or not path.is_file() or entry.size != path.stat().st_size:
        return False
    if entry.sha256 is not None and digest is not None:
        return entry.sha256 == digest
    return entry.holds(*local_entry(path))


def _tag(repo_id: str, number: int, commit: str) -> None:
    """Tag a version. Tags never move."""
    try:
        retrying(lambda: HfApi().create_tag(repo_id, tag=f"v{number}", revision=commit, repo_type=DATASET))
    except Exception as error:
        if status_of(error) != 409:
            raise
        # The tag may be ours: the first answer was lost, or another process pushed the same store.
        if versions(repo_id).get(number) != commit:
            raise InrzooError(f"{repo_id} has got another v{number} just now; run the same command again") from None


def _folder(store: Store) -> Path:
    assert isinstance(store.path, Path), "a push fetches the store first"
    return store.path


def _page(repo_id: str) -> str:
    return f"{HfApi().endpoint}/datasets/{repo_id}"
