"""Objects in a bucket (`s3://`, `gs://`, `az://`), called as the part of `pathlib.Path` that stores need.

A bucket has no folders, no rename and no append. What it has is enough: an object is written whole or not at all, its
bytes are seen by everyone as soon as the write returns, and a write can be made to fail unless the object is absent, or
is still the one that was read (`If-None-Match`, `If-Match`; its ETag names what it was).
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.retry import retry_policy

RETRIES, FIRST_PAUSE, MAX_PAUSE = 10, 0.1, 10.0
"""Number of retries of a request that met a 5xx or a cut connection; the first pause in seconds, doubled each time; the
maximum pause in seconds."""
SCHEMES = ("s3", "s3a", "gs", "az", "abfs", "abfss")
"""URL schemes of buckets."""

Result = TypeVar("Result")


class Changed(Exception):
    """A conditional write was refused: the object is not what the writer took it for."""


class Absent(FileNotFoundError):
    """There is no such object, or no such bucket."""


class ObjectError(OSError):
    """The server refused, or could not be reached after every try."""


def is_object_url(location: object) -> bool:
    """Whether `location` names something in a bucket that can be written to."""
    return isinstance(location, str) and location.split("://", 1)[0] in SCHEMES and "://" in location


@dataclass(frozen=True, order=True)
class ObjectPath:
    """A key in a bucket, or what all keys below it begin with.

    Attributes:
        bucket: scheme and bucket, `s3://BUCKET`.
        key: without slashes at its ends.
    """

    bucket: str
    key: str
    is_local: ClassVar[bool] = False

    @classmethod
    def parse(cls, url: str) -> ObjectPath:
        """`s3://BUCKET/SOME/NAME.zarr`. Raises InrzooError where there is no bucket or no name."""
        scheme, _, rest = url.partition("://")
        bucket, _, key = rest.partition("/")
        key = "/".join(part for part in key.split("/") if part)
        if not is_object_url(url) or not bucket or not key:
            raise InrzooError(f"{url} is not a place for a store; expected e.g. s3://BUCKET/NAME.zarr")
        return cls(f"{scheme}://{bucket}", key)

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}"

    def __truediv__(self, below: str) -> ObjectPath:
        return ObjectPath(self.bucket, f"{self.key}/{below}")

    @property
    def name(self) -> str:
        """Last part of the key."""
        return PurePosixPath(self.key).name

    @property
    def parent(self) -> ObjectPath:
        """Without the last part."""
        return ObjectPath(self.bucket, str(PurePosixPath(self.key).parent))

    def with_name(self, name: str) -> ObjectPath:
        """Another last part."""
        return ObjectPath(self.bucket, str(PurePosixPath(self.key).with_name(name)))

    def with_suffix(self, suffix: str) -> ObjectPath:
        """Another ending."""
        return ObjectPath(self.bucket, str(PurePosixPath(self.key).with_suffix(suffix)))

    def absolute(self) -> ObjectPath:
        """The same: a key depends on no working directory."""
        return self

    # --- reading -----------------------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether there is an object of exactly this key."""
        try:
            self._call("head")
        except FileNotFoundError:
            return False
        return True

    def is_file(self) -> bool:
        """As `exists`."""
        return self.exists()

    def size(self) -> int:
        """Bytes of the object. Raises FileNotFoundError."""
        return int(self._call("head")["size"])

    def read_bytes(self) -> bytes:
        """The object. Raises FileNotFoundError."""
        return self.read_tagged()[0]

    def read_tagged(self) -> tuple[bytes, str]:
        """The object and its ETag, for a later `replace`. Raises FileNotFoundError."""

        def get() -> tuple[bytes, str]:
            answer = self._client().get(self.key)
            return bytes(answer.bytes()), str(answer.meta["e_tag"])

        return _with_retries(self, get)

    def read_range(self, start: int, stop: int) -> bytes:
        """Some bytes of the object. Raises FileNotFoundError."""
        return bytes(self._call("get_range", start=start, end=stop)) if stop > start else b""

    def open(self, mode: Literal["rb"]) -> io.BytesIO:
        """The object, read at once. Raises FileNotFoundError."""
        return io.BytesIO(self.read_bytes())

    def map_bytes(self, start: int, stop: int | None) -> NDArray[np.uint8]:
        """See `files.map_bytes`."""
        if stop is None:
            return np.frombuffer(self.read_bytes()[start:], np.uint8)
        return np.frombuffer(self.read_range(start, min(stop, self.size())), np.uint8)

    def read_text(self) -> str:
        """The object as UTF-8 text. Raises FileNotFoundError."""
        return self.read_bytes().decode()

    def is_taken(self) -> bool:
        """Whether a store's root stands here; objects without one are an interrupted upload."""
        return (self / "zarr.json").exists()

    def links(self) -> list[str]:
        """None: a bucket has no links."""
        return []

    def free_bytes(self) -> int:
        """More than any store needs."""
        return sys.maxsize

    def scratch(self, ending: str) -> Path:
        """The place of a temporary file of this process, on this machine."""
        return Path(tempfile.gettempdir()) / f".{os.getpid()}-{self.name}.{ending}"

    def files(self) -> dict[str, int]:
        """Size in bytes of every object below this key, by its name relative to it, sorted."""
        pages = _with_retries(self, lambda: list(self._client().list(prefix=self.key + "/")))
        sizes = [
            (str(entry["path"]).removeprefix(self.key + "/"), int(entry["size"])) for page in pages for entry in page
        ]
        return dict(sorted(sizes))

    # --- writing -----------------------------------------------------------------------------------------------

    def write_bytes(self, content: bytes | memoryview) -> None:
        """Write the object: readers see the old one or the new one, never a part."""
        self._call("put", file=bytes(content))

    def write_text(self, text: str) -> None:
        """Write the object as UTF-8 text."""
        self.write_bytes(text.encode())

    def write_atomically(self, content: bytes | memoryview, store: str | None) -> None:
        """As `write_bytes`."""
        self.write_bytes(content)

    def update(self, change: Callable[[bytes], bytes], store: str) -> None:
        """Read, change and write the object. Raises Changed if another process has written it meanwhile."""
        content, tag = self.read_tagged()
        self.replace(change(content), tag)

    def sync(self) -> None:
        """Nothing: an object is safe when its write returns."""

    def sync_tree(self) -> None:
        """Nothing, as `sync`."""

    def create(self, content: bytes) -> str:
        """Write the object if there is none; returns its ETag. Raises Changed where there is one of other content."""
        return self._conditionally(content, None)

    def replace(self, content: bytes, tag: str) -> str:
        """Write the object if it is still the one of that ETag; returns the new one. Raises Changed if it is not."""
        return self._conditionally(content, tag)

    def copy(self, target: ObjectPath) -> None:
        """Copy the object to another key of the same bucket. Raises FileNotFoundError."""
        self._call("copy", to=target.key)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object. An absent one counts as removed, as servers have it."""
        try:
            self._call("delete")
        except FileNotFoundError:
            if not missing_ok:
                raise

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: keys need no folders."""

    def remove_tree(self) -> None:
        """Remove every object below this key: of a store the root first, so that what is left is none."""
        (self / "zarr.json").unlink(missing_ok=True)
        self.remove_below()

    def remove_below(self) -> None:
        """Remove every object below this key."""
        self.remove([*self.files()])

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects below this key; those that are not there count as removed."""
        keys = [f"{self.key}/{name}" for name in names]
        for start in range(0, len(keys), 1000):
            _with_retries(self, partial(self._delete, keys[start : start + 1000]))

    def _conditionally(self, content: bytes, tag: str | None) -> str:
        """Write if the object's ETag is `tag`, or if there is none. What was refused or not answered is looked at."""
        mode: Any = "create" if tag is None else {"e_tag": tag}

        def put() -> str:
            try:
                with _short_errors(self):
                    return str(self._client().put(self.key, content, mode=mode, use_multipart=False)["e_tag"])
            except (Changed, ObjectError):
                current, current_tag = self._tagged_or_none()
                if current == content:
                    return current_tag  # the write succeeded, its answer was lost
                if current_tag != (tag or ""):
                    raise Changed(str(self)) from None
                raise

        return _with_retries(self, put)

    def _tagged_or_none(self) -> tuple[bytes | None, str]:
        try:
            return self.read_tagged()
        except FileNotFoundError:
            return None, ""

    def _delete(self, keys: list[str]) -> None:
        self._client().delete(keys)

    def _call(self, operation: str, **arguments: Any) -> Any:
        return _with_retries(self, lambda: getattr(self._client(), operation)(self.key, **arguments))

    def _client(self) -> Any:
        return _client(self.bucket, os.getpid())


Location = Path | ObjectPath
"""The place of a store: a folder, or the common beginning of some keys in a bucket."""


def location(place: str | Path | ObjectPath) -> Location:
    """A folder or, of a URL, the place in a bucket.

    Raises:
        InrzooError: a URL that cannot be written to, or a path that does not end in a name.
    """
    if isinstance(place, str) and "://" in place:
        if not is_object_url(place):
            raise InrzooError(f"{place} can only be read; stores are written to folders and to s3://, gs:// and az://")
        return ObjectPath.parse(place)
    if not isinstance(place, str | Path):
        return place
    path = Path(place) if Path(place).name not in ("", "..") else Path(place).resolve()
    if not path.name or place == "":
        raise InrzooError(f"{str(place)!r} is not a place for a store; expected a name, e.g. digits.zarr")
    return path


@lru_cache(maxsize=16)
def _client(bucket: str, process: int) -> Any:
    """The connection pool of a bucket, one a process: it does not survive a fork. Credentials are the environment's."""
    from obstore.store import from_url  # `_short_errors` reports a missing package

    endpoints = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    plain = any(os.environ.get(name, "").startswith("http://") for name in endpoints)
    # Tried again by `_with_retries`: the library itself gives up where an answer is cut in the middle.
    once: Any = {"max_retries": 0}
    return from_url(bucket, client_options={"allow_http": True} if plain else None, retry_config=once)


def _with_retries(path: ObjectPath, work: Callable[[], Result]) -> Result:
    """Return what `work` returns, retried after errors of the server or the connection."""

    def attempt() -> Result:
        with _short_errors(path):
            return work()

    policy = retry_policy(
        lambda error: isinstance(error, ObjectError), tries=1 + RETRIES, first_pause=FIRST_PAUSE, max_pause=MAX_PAUSE
    )
    return policy(attempt)


@contextmanager
def _short_errors(path: ObjectPath) -> Iterator[None]:
    """Turn the library's errors, which go on for pages, into `OSError`s of one line."""
    with needed("s3", str(path.bucket)):
        from obstore import exceptions
    try:
        yield
    except Absent:
        raise
    except FileNotFoundError as error:
        what = f"bucket {path.bucket}" if "NoSuchBucket" in str(error) else f"object {path}"
        raise Absent(f"there is no {what}") from None
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
        raise Changed(str(path)) from None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
        raise PermissionError(f"{path.bucket} refuses these credentials") from None
    except exceptions.BaseError as error:
        raise ObjectError(f"{path}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    line = str(error).strip().split("\n", 1)[0]
    return line.split(": <?xml", 1)[0]


def upload(folder: Path, target: ObjectPath, last: Callable[[str], bool]) -> None:
    """Copy the files of a folder; those that `last` picks are written when all others are safe."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    for name in [*(name for name in names if not last(name)), *filter(last, names)]:
        (target / name).write_bytes((folder / name).read_bytes())


def copy_tree(source: ObjectPath, target: ObjectPath, last: str) -> None:
    """Copy all objects below a key to another key of the same bucket, within the server; `last` at the end."""
    for name in sorted(source.files(), key=lambda name: (name == last, name)):
        (source / name).copy(target / name)
