"""Trained encoders on the Hub: a model repository with a few files, written in one commit, read within limits."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.utils import validate_repo_id

from inrzoo.cache import cache_folder
from inrzoo.errors import InrzooError
from inrzoo.hub.branch import Branch
from inrzoo.hub.errors import LOG_IN, explained, retrying
from inrzoo.hub.remote import Entry, Kind, commit_of, download, git_hash, read_file, tree
from inrzoo.store.files import sha256

MODEL: Kind = "model"
CONFIG, TENSORS, CARD = "config.json", "model.safetensors", "README.md"
ADDRESS = re.compile(r"(?:hf://)?(?P<repo>[^/@\s]+/[^/@\s]+)(?:@(?P<revision>\S+))?")
OURS = b'"library": "inrzoo"'
"""Bytes in the `config.json` of an encoder of inrzoo."""
NEW = {".gitattributes", CARD}
"""Files of a model repository that nobody has written to yet."""


@dataclass(frozen=True)
class PushedModel:
    """The result of a push of an encoder.

    Attributes:
        repo_id: `USER/NAME`.
        commit: the commit.
        num_bytes: number of bytes that this call sent.
        changed: whether anything was sent.
        where: URL of the page.
    """

    repo_id: str
    commit: str
    num_bytes: int
    changed: bool
    where: str


def push_model(files: Mapping[str, bytes], repo_id: str, private: bool = False) -> PushedModel:
    """Publish an encoder in one commit, unless the repository has these files.

    Args:
        files: `config.json`, `model.safetensors`, `README.md`, and the scores in `.eval_results/`, if there are any.
        repo_id: `USER/NAME`.
        private: whether a new repository is private.

    Raises:
        InrzooError: the repository holds something else, or the Hub refuses; nothing is half written.
    """
    require_model_name(repo_id)
    with explained(repo_id):
        if get_token() is None:
            raise InrzooError(f"no token for the Hub; {LOG_IN}")
        retrying(lambda: HfApi().create_repo(repo_id, repo_type=MODEL, private=private or None, exist_ok=True))
        branch = Branch(repo_id, "main", MODEL)
        _require_ours(repo_id, branch)
        branch.commit_contents(files, "Publish an encoder")
        where = f"{constants.ENDPOINT}/{repo_id}"
        return PushedModel(repo_id, branch.head, branch.sent, branch.num_commits > 0, where)


def require_model_name(repo_id: str) -> None:
    """Raise InrzooError unless this can be a model's name."""
    with explained(repo_id):
        validate_repo_id(repo_id)
    if repo_id.count("/") != 1:
        raise InrzooError(f"{repo_id} cannot be a model's name: expected USER/NAME")


def read_model(address: str) -> tuple[dict[str, bytes], str]:
    """Read the config and the tensors of an encoder.

    Args:
        address: `USER/NAME` or `hf://USER/NAME`, with an optional `@REVISION`, a branch, tag or commit.

    Returns:
        The files by name; and `USER/NAME@COMMIT`. Tensors are kept in the cache folder, by their sha256.

    Raises:
        InrzooError: there is no such repository, it is no encoder of inrzoo, or a file arrives damaged.
    """
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise InrzooError(f"{address} is not a model on the Hub; expected USER/NAME or USER/NAME@REVISION")
    repo_id = match["repo"]
    with explained(repo_id):
        commit = commit_of(repo_id, match["revision"] or "main", MODEL)
        entries = tree(repo_id, commit, MODEL)
        if absent := [name for name in (CONFIG, TENSORS) if name not in entries]:
            raise InrzooError(f"{repo_id} at {commit[:12]} is no encoder of inrzoo: it lacks {', '.join(absent)}")
        config = read_file(repo_id, commit, CONFIG, MODEL)
        tensors = _tensors(repo_id, commit, entries[TENSORS])
        return {CONFIG: config, TENSORS: tensors}, f"{repo_id}@{commit}"


def _require_ours(repo_id: str, branch: Branch) -> None:
    """Refuse to write over a model of another kind."""
    files = {*branch.entries}
    if files <= NEW:
        return
    if CONFIG not in files or OURS not in read_file(repo_id, branch.head, CONFIG, MODEL):
        raise InrzooError(
            f"the model {repo_id} is no encoder of inrzoo (it has {min(files - NEW)}) and was left unchanged; "
            "push under another name"
        )


def _tensors(repo_id: str, commit: str, entry: Entry) -> bytes:
    cached = cache_folder("models") / f"{entry.sha256 or entry.blob_id}.safetensors"
    if cached.is_file() and _is(cached, entry):
        return cached.read_bytes()
    cached.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=cached.parent) as temporary:
        partial = Path(temporary) / TENSORS
        download(repo_id, commit, TENSORS, partial, entry.size, Event(), MODEL)
        if not _is(partial, entry):
            raise InrzooError(f"{TENSORS} of {repo_id} arrived damaged; run the same command again")
        partial.rename(cached)
    return cached.read_bytes()


def _is(path: Path, entry: Entry) -> bool:
    if entry.sha256 is not None:
        return sha256(path) == entry.sha256
    return git_hash(path.read_bytes()) == entry.blob_id
