"""Reads datasets of inrzoo on the Hub: versions, commits, files.

The layout of a repository:

    README.md, preview.png           the card
    NAME.zarr/**                     the store
    data/SPLIT-seedS-I-of-K.parquet  the same INRs as rows
    tags v1, v2, …                   data versions; a tag never moves

During a push `main` is ahead of the newest tag; readers take the tag.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import Any, Literal
from urllib.parse import quote

from huggingface_hub import constants, hf_hub_url

from inrzoo.errors import InrzooError
from inrzoo.hub import transport
from inrzoo.hub.errors import explained, retrying
from inrzoo.store.files import sha256
from inrzoo.store.info import StoreInfo

URL = re.compile(
    r"(?:hf://datasets/)?(?P<repo>[^/@\s]+/[^/@\s]+)(?:@(?P<revision>.+?))?(?:/(?P<store>[^/@]+\.zarr))?/?"
)
STORE = re.compile(r"[\w-][\w.-]*\.zarr")
"""A name without a path, which becomes a local folder."""
VERSION = re.compile(r"v(\d{1,9})")
COMMIT = re.compile(r"[0-9a-f]{40}")
Kind = Literal["dataset", "model", "space"]
"""Kind of a repository. Each kind has names of its own."""
DATASET: Kind = "dataset"


@dataclass(frozen=True)
class Address:
    """A dataset on the Hub: `hf://datasets/USER/NAME[@revision]`, or `USER/NAME[@revision]`."""

    repo_id: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Parse an address. Raises InrzooError if the address is malformed."""
        match = URL.fullmatch(text)
        if match is None:
            raise InrzooError(
                f"{text} is not a dataset on the Hub; expected USER/NAME or hf://datasets/USER/NAME@REVISION"
            )
        return cls(match["repo"], match["revision"])


def pin(url: str) -> str:
    """Resolve a dataset to a commit, so that a reader never mixes two versions.

    Args:
        url: `hf://datasets/USER/NAME`, with an optional `@REVISION`, a version, branch or commit.

    Returns:
        `hf://datasets/USER/NAME@COMMIT/NAME.zarr`.

    Raises:
        InrzooError: the dataset, its version or its store is absent, or there is no connection.
    """
    address = Address.parse(url)
    with explained(address.repo_id):
        pinned = resolve(address)
        return f"hf://datasets/{address.repo_id}@{pinned.commit}/{pinned.store}"


def browser_address(url: str) -> str:
    """Return the URL at which browsers read a store on the Hub.

    Args:
        url: as `pin` returns it.

    Raises:
        InrzooError: the dataset is private or gated, or there is no connection.
    """
    address = Address.parse(url)
    with explained(address.repo_id):
        require_public(address.repo_id)
        pinned = resolve(address)
        return store_address(address.repo_id, pinned.commit, pinned.store)


def store_address(repo_id: str, commit: str, folder: str) -> str:
    """Return the URL of a store at a commit, below which browsers find its files."""
    return f"{constants.ENDPOINT}/datasets/{repo_id}/resolve/{commit}/{folder}"


def require_public(repo_id: str) -> None:
    """Raise InrzooError if a dataset is private or gated."""
    about = _ask(repo_id, "revision/main")
    if about.get("private") or about.get("gated"):
        kind = "private" if about.get("private") else "gated"
        raise InrzooError(
            f"{repo_id} is {kind}, and browsers cannot read it from the Hub; `inrzoo pull {repo_id}`, "
            "then show the folder"
        )


@dataclass(frozen=True)
class Entry:
    """A file in the repository: its size in bytes and its hashes."""

    size: int
    sha256: str | None
    blob_id: str

    def holds(self, sha256: str | None, git_hash: str | None) -> bool:
        """Return whether the file has that sha256 (large files) or that git hash (small ones)."""
        return sha256 == self.sha256 if self.sha256 is not None else git_hash == self.blob_id


def git_hash(content: bytes) -> str:
    """Return git's hash of a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Snapshot:
    """One commit of a repository.

    Attributes:
        repo_id: `USER/NAME`.
        commit: the commit.
        version: N of the tag vN of this commit, or None.
        store: name of the folder of the zarr store.
    """

    repo_id: str
    commit: str
    version: int | None
    store: str

    def read(self, path: str) -> bytes:
        """Read a small file."""
        return read_file(self.repo_id, self.commit, path)

    @cached_property
    def root(self) -> bytes:
        """The root metadata of the store, with the checksums of all other files."""
        return self.read(f"{self.store}/zarr.json")

    @cached_property
    def info(self) -> StoreInfo:
        """The records of the store."""
        return StoreInfo.from_root(self.root, self.repo_id)

    def files(self) -> dict[str, Entry]:
        """Return all files by path."""
        return tree(self.repo_id, self.commit)


def resolve(address: Address) -> Snapshot:
    """Return the commit of an address, by default of the newest version.

    Raises:
        InrzooError: there is no version, or no store at that commit.
    """
    repo_id = address.repo_id
    tags = versions(repo_id)
    if address.revision is not None:
        commit = commit_of(repo_id, address.revision)
    elif not tags:
        raise InrzooError(f"{repo_id} has no version yet; its push is not finished, or it is not a dataset of inrzoo")
    else:
        commit = tags[max(tags)]
    number = next((number for number, tagged in tags.items() if tagged == commit), None)
    return Snapshot(repo_id, commit, number, store_folder(repo_id, commit))


def commit_of(repo_id: str, revision: str, kind: Kind = DATASET) -> str:
    """Return the commit of a branch, tag or abbreviated commit."""
    commit = _ask(repo_id, f"revision/{quote(revision, safe='')}", kind).get("sha")
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise _malformed(repo_id, "a revision without a commit")
    return commit


def versions(repo_id: str) -> dict[int, str]:
    """Return the commits by version number."""
    tags = _ask(repo_id, "refs").get("tags")
    if not isinstance(tags, list) or not all(isinstance(tag, dict) for tag in tags):
        raise _malformed(repo_id, "no list of tags")
    numbered = [(VERSION.fullmatch(str(tag.get("name"))), str(tag.get("targetCommit"))) for tag in tags]
    return {int(name[1]): commit for name, commit in numbered if name and COMMIT.fullmatch(commit)}


def store_folder(repo_id: str, commit: str) -> str:
    """Return the name of the zarr folder at a commit. It stays when a repository is renamed."""
    folders = [path for path, entry in _listing(repo_id, commit, recursive=False) if entry.get("type") == "directory"]
    names = [path for path in folders if STORE.fullmatch(path)]
    if len(names) != 1:
        raise InrzooError(f"{repo_id} at {commit[:12]} holds {len(names)} zarr stores; a dataset of inrzoo holds one")
    return names[0]


def tree(repo_id: str, commit: str, kind: Kind = DATASET) -> dict[str, Entry]:
    """Return all files at a commit by path."""
    listed = _listing(repo_id, commit, recursive=True, kind=kind)
    return {path: _entry(repo_id, entry) for path, entry in listed if entry.get("type") == "file"}


def read_file(repo_id: str, commit: str, path: str, kind: Kind = DATASET) -> bytes:
    """Read a small file into memory."""
    url = hf_hub_url(repo_id, path, repo_type=kind, revision=commit, endpoint=constants.ENDPOINT)
    return retrying(lambda: transport.read(url, path)[0])


def download(repo_id: str, commit: str, path: str, target: Path, size: int, stop: Event, kind: Kind = DATASET) -> None:
    """Download a file of `size` bytes; a partial download at `target` is continued."""
    url = hf_hub_url(repo_id, path, repo_type=kind, revision=commit, endpoint=constants.ENDPOINT)
    retrying(lambda: transport.download(url, path, target, size, stop))


def _ask(repo_id: str, question: str, kind: Kind = DATASET) -> dict[str, Any]:
    url = f"{constants.ENDPOINT}/api/{kind}s/{repo_id}/{question}"
    answer = retrying(lambda: transport.read_json(url, f"the {question.split('/')[0]} of {repo_id}"))
    if not isinstance(answer, dict):
        raise _malformed(repo_id, f"{type(answer).__name__} for {question}")
    return answer


def _listing(repo_id: str, commit: str, recursive: bool, kind: Kind = DATASET) -> list[tuple[str, dict[str, Any]]]:
    url = f"{constants.ENDPOINT}/api/{kind}s/{repo_id}/tree/{commit}"
    params = {"recursive": recursive, "expand": False}
    entries = retrying(lambda: list(transport.pages(url, f"the list of files of {repo_id}", params)))
    if not all(isinstance(entry, dict) and isinstance(entry.get("path"), str) for entry in entries):
        raise _malformed(repo_id, "files without a name")
    return [(entry["path"], entry) for entry in entries]


def _entry(repo_id: str, entry: dict[str, Any]) -> Entry:
    size, blob_id, large = entry.get("size"), entry.get("oid"), entry.get("lfs")
    sha256 = large.get("oid") if isinstance(large, dict) else None
    known = isinstance(sha256, str) if large is not None else isinstance(blob_id, str)
    if type(size) is not int or size < 0 or not known:
        raise _malformed(repo_id, "files without a size or a hash")
    return Entry(size, sha256, str(blob_id))


def _malformed(repo_id: str, reason: str) -> InrzooError:
    return InrzooError(f"the Hub's answer about {repo_id} is malformed: {reason}")


def local_entry(path: Path) -> tuple[str, str | None]:
    """Return the sha256 of a file, and its git hash if it is small enough to be stored as text."""
    return sha256(path), git_hash(path.read_bytes()) if path.stat().st_size < 16 * 2**20 else None
