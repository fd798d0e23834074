"""A dataset of inrzoo on the Hub, as its readers see it: versions, commits, files.

The layout of a repository:

    README.md, preview.png           the card
    NAME.zarr/**                     the store
    data/SPLIT-seedS-I-of-K.parquet  the same INRs as rows
    tags v1, v2, …                   data versions; a tag never moves

`main` may be ahead of the newest tag while somebody pushes: readers take the tag.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.hf_api import RepoFile, RepoFolder
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from inrzoo.errors import InrzooError
from inrzoo.hub.errors import explained, retrying
from inrzoo.store.checks import check_attributes

URL = re.compile(
    r"(?:hf://datasets/)?(?P<repo>[^/@\s]+/[^/@\s]+)(?:@(?P<revision>.+?))?(?:/(?P<store>[^/@]+\.zarr))?/?"
)
STORE = re.compile(r"[\w-][\w.-]*\.zarr")
"""A name and no path: it becomes a folder here."""
VERSION = re.compile(r"v(\d+)")
DATASET = "dataset"


@dataclass(frozen=True)
class Address:
    """A dataset on the Hub: `hf://datasets/USER/NAME[@revision]`, or `USER/NAME[@revision]`."""

    repo_id: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read an address. Raises InrzooError for what is none."""
        found = URL.fullmatch(text)
        if found is None:
            raise InrzooError(
                f"{text} is no dataset on the Hub; expected USER/NAME or hf://datasets/USER/NAME@REVISION"
            )
        return cls(found["repo"], found["revision"])


def pin(url: str) -> str:
    """Resolve a dataset to one commit, once, so that a reader never sees two versions.

    Args:
        url: `hf://datasets/USER/NAME`, with `@REVISION` for a version, branch or commit; the newest version without.

    Returns:
        `hf://datasets/USER/NAME@COMMIT/NAME.zarr`.

    Raises:
        InrzooError: one line: no such dataset, no version yet, no store in it, no connection.
    """
    address = Address.parse(url)
    with explained(address.repo_id):
        pinned = resolve(address)
        return f"hf://datasets/{address.repo_id}@{pinned.commit}/{pinned.store}"


@dataclass(frozen=True)
class Entry:
    """A file in the repository: its size in bytes and what its content is known by."""

    size: int
    sha256: str | None
    blob_id: str

    def holds(self, sha256: str | None, git_hash: str | None) -> bool:
        """Whether this is a file with that sha256 (large files) or that git hash (small ones)."""
        return sha256 == self.sha256 if self.sha256 is not None else git_hash == self.blob_id


def git_hash(content: bytes) -> str:
    """What git calls a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Snapshot:
    """One commit of a repository.

    Attributes:
        version: N of the tag vN that stands here, or None.
        store: name of the folder of the zarr store.
    """

    repo_id: str
    commit: str
    version: int | None
    store: str

    def read(self, path: str) -> bytes:
        """A small file's content."""
        return read_file(self.repo_id, self.commit, path)

    @cached_property
    def root(self) -> bytes:
        """The root metadata of the store, which hold the checksums of everything else."""
        return self.read(f"{self.store}/zarr.json")

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the store."""
        return attributes_of(self.root)

    def files(self) -> dict[str, Entry]:
        """All files by path."""
        return tree(self.repo_id, self.commit)


def attributes_of(root: bytes) -> dict[str, Any]:
    """A store's attributes from its root metadata."""
    try:
        return check_attributes(json.loads(root)["attributes"], "the store on the Hub")
    except InrzooError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InrzooError("the store on the Hub is damaged: its zarr.json cannot be read") from None


def resolve(address: Address) -> Snapshot:
    """The commit of an address: of the newest version, unless a revision is given.

    Raises:
        InrzooError: no version yet, or no store at that commit.
    """
    api, repo_id = HfApi(), address.repo_id
    tags = versions(repo_id)
    if address.revision is not None:
        commit = retrying(lambda: api.repo_info(repo_id, repo_type=DATASET, revision=address.revision)).sha
    elif not tags:
        raise InrzooError(f"{repo_id} has no version yet; its push is not finished, or it is no dataset of inrzoo")
    else:
        commit = tags[max(tags)]
    number = next((number for number, tagged in tags.items() if tagged == commit), None)
    return Snapshot(repo_id, str(commit), number, store_folder(repo_id, str(commit)))


def versions(repo_id: str) -> dict[int, str]:
    """Commits by version number."""
    refs = retrying(lambda: HfApi().list_repo_refs(repo_id, repo_type=DATASET))
    numbered = {VERSION.fullmatch(str(tag.name)): str(tag.target_commit) for tag in refs.tags}
    return {int(found[1]): commit for found, commit in numbered.items() if found}


def store_folder(repo_id: str, commit: str) -> str:
    """Name of the zarr folder at a commit. It stays when a repository is renamed."""
    listed = [
        str(entry.path)
        for entry in retrying(lambda: list(HfApi().list_repo_tree(repo_id, repo_type=DATASET, revision=commit)))
        if isinstance(entry, RepoFolder)
    ]
    found = [name for name in listed if STORE.fullmatch(name)]
    if len(found) != 1:
        raise InrzooError(f"{repo_id} at {commit[:12]} holds {len(found)} zarr stores; a dataset of inrzoo holds one")
    return found[0]


def tree(repo_id: str, commit: str) -> dict[str, Entry]:
    """All files at a commit, by path."""
    listed = retrying(lambda: list(HfApi().list_repo_tree(repo_id, repo_type=DATASET, revision=commit, recursive=True)))
    files = [entry for entry in listed if isinstance(entry, RepoFile)]
    if not all(isinstance(file.path, str) and isinstance(file.size, int) for file in files):
        raise InrzooError(f"what the Hub says of {repo_id} cannot be understood: files without a name or a size")
    return {file.path: Entry(file.size, file.lfs.sha256 if file.lfs else None, file.blob_id) for file in files}


def read_file(repo_id: str, commit: str, path: str) -> bytes:
    """A small file, read into memory."""

    def get() -> bytes:
        url = hf_hub_url(repo_id, path, repo_type=DATASET, revision=commit)
        response = get_session().get(url, headers=build_hf_headers(), follow_redirects=True)
        hf_raise_for_status(response)
        return bytes(response.content)

    return retrying(get)


def local_entry(path: Path) -> tuple[str, str | None]:
    """sha256 of a file, and its git hash where it is small enough to be stored as text."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return digest, git_hash(path.read_bytes()) if path.stat().st_size < 16 * 2**20 else None
