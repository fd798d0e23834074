"""Writes to one branch of a repository: first the files, then commits that cannot interleave."""

import contextlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.utils import disable_progress_bars

from inrzoo.errors import InrzooError
from inrzoo.hub.errors import is_transient, retrying, status_of
from inrzoo.hub.remote import DATASET, Entry, Kind, commit_of, git_hash, local_entry, tree

GROUP_FILES, GROUP_BYTES = 64, 64 * 2**20
"""Number of files, and of bytes, at which a group of files is sent, because the Hub rations requests."""
COMMIT_FILES = 500
"""Maximum number of files of a commit, because the Hub is slow at commits of thousands."""

Operation = CommitOperationAdd | CommitOperationDelete

OnBytes = Callable[[int], None]
"""Called with the number of bytes of a sent file."""


class Branch:
    """The tip of a branch. A commit fails if another process has moved the tip.

    Args:
        repo_id: `USER/NAME`.
        revision: name of the branch.
        kind: kind of the repository.

    Attributes:
        head: parent of the next commit.
        entries: files of `head`.
        sent: number of bytes sent.
        num_commits: number of commits made.
    """

    def __init__(self, repo_id: str, revision: str, kind: Kind = DATASET) -> None:
        disable_progress_bars()  # ours shows the whole transfer
        self.repo_id, self.revision, self.kind, self._api = repo_id, revision, kind, HfApi()
        self.sent = self.num_commits = 0
        self._waiting: list[tuple[CommitOperationAdd, Path | None]] = []
        self._uploaded: list[CommitOperationAdd] = []
        self.refresh()

    def refresh(self) -> None:
        """Read the tip and its files."""
        self.head = self._tip()
        self.entries = tree(self.repo_id, self.head, self.kind)

    def files(self) -> dict[str, Entry]:
        """Return the files after the last commit of this process; `entries` are those before the first."""
        return tree(self.repo_id, self.head, self.kind) if self.num_commits else self.entries

    def has(self, path_in_repo: str, path: Path) -> bool:
        """Return whether the branch has the same file at this path."""
        entry = self.entries.get(path_in_repo)
        return entry is not None and entry.size == path.stat().st_size and entry.holds(*local_entry(path))

    def send(self, path_in_repo: str, path: Path, on_bytes: OnBytes, *, temporary: bool = False) -> None:
        """Send a file, unless the Hub has its content, for the next data commit.

        Args:
            path_in_repo: path in the repository.
            path: the file.
            on_bytes: called with the number of sent bytes.
            temporary: whether to remove the file afterwards.
        """
        self._waiting.append((CommitOperationAdd(path_in_repo, path), path if temporary else None))
        size = sum(addition.upload_info.size for addition, _ in self._waiting)
        if len(self._waiting) >= GROUP_FILES or size >= GROUP_BYTES:
            self._upload(on_bytes)
        if len(self._uploaded) >= COMMIT_FILES:
            self.commit("Add data", on_bytes)

    def commit(self, message: str, on_bytes: OnBytes, delete: list[str] | None = None) -> None:
        """Commit the sent files and deletions, if any."""
        self._upload(on_bytes)
        operations: list[Operation] = [
            *self._uploaded,
            *(CommitOperationDelete(path, is_folder=False) for path in delete or []),
        ]
        self._uploaded = []
        if operations:
            self.head = self._commit(operations, message)
            self.num_commits += 1

    def commit_contents(self, contents: Mapping[str, bytes], message: str, delete: list[str] | None = None) -> None:
        """Commit small files, by path in the repository, that the branch lacks or has otherwise, and deletions."""
        with tempfile.TemporaryDirectory(prefix="inrzoo-push-") as temporary:
            for name, content in contents.items():
                path = Path(temporary) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                if not self.has(name, path):
                    self.send(name, path, lambda size: None)
            self.commit(message, lambda size: None, delete)

    def _upload(self, on_bytes: OnBytes) -> None:
        if not self._waiting:
            return
        additions = [addition for addition, _ in self._waiting]
        self._api.preupload_lfs_files(
            self.repo_id, additions, repo_type=self.kind, revision=self.revision, free_memory=True
        )
        for addition, temporary in self._waiting:
            if temporary is not None:
                if isinstance(addition.path_or_fileobj, str):  # a small file, sent with the commit
                    addition.path_or_fileobj = temporary.read_bytes()
                temporary.unlink()
            self.sent += addition.upload_info.size
            on_bytes(addition.upload_info.size)
        self._uploaded += additions
        self._waiting = []

    def _commit(self, operations: list[Operation], message: str) -> str:
        """Commit, with retries. The client does not retry commits, and one with a lost answer may have arrived."""

        def commit() -> str:
            try:
                created = self._api.create_commit(
                    self.repo_id,
                    operations,
                    commit_message=message,
                    repo_type=self.kind,
                    revision=self.revision,
                    parent_commit=self.head,
                )
                return str(created.oid)
            except Exception as error:
                if not is_transient(error) and status_of(error) not in (409, 412):
                    raise
                tip = retrying(self._tip)
                if tip == self.head:
                    raise
                if self._arrived(operations, tip):
                    return tip
                raise InrzooError(
                    f"another process has pushed to {self.repo_id}; nothing is lost: run the same command again "
                    "when it has finished"
                ) from None

        return retrying(commit)

    def _arrived(self, operations: list[Operation], tip: str) -> bool:
        entries = tree(self.repo_id, tip, self.kind)
        for operation in operations:
            entry = entries.get(operation.path_in_repo)
            if isinstance(operation, CommitOperationDelete):
                if entry is not None:
                    return False
            elif entry is None or not _is(operation, entry):
                return False
        return True

    def _tip(self) -> str:
        return commit_of(self.repo_id, self.revision, self.kind)


def _is(addition: CommitOperationAdd, entry: Entry) -> bool:
    """Return whether an addition is the file `entry`; its content may be freed, its sha256 stays."""
    if entry.sha256 is not None:
        return entry.sha256 == addition.upload_info.sha256.hex()
    with contextlib.suppress(OSError), addition.as_file() as file:
        return git_hash(file.read()) == entry.blob_id
    return False
