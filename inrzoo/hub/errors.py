"""Turns errors of the Hub and the network into one line each, and retries transient ones."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalTokenNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers

from inrzoo.errors import InrzooError
from inrzoo.hub.transport import limited_client
from inrzoo.retry import retry_policy
from inrzoo.store.limits import TooMuch, TooSlow

Result = TypeVar("Result")

ANSWERS = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError)
"""Exceptions that the client raises for a malformed answer."""

LOG_IN = "log in with `hf auth login`, or set HF_TOKEN to a token from https://huggingface.co/settings/tokens"
TRIES, FIRST_PAUSE = 4, 1.0
"""Maximum number of calls; pause in seconds after the first one, which doubles after each error."""
PATIENCE = 20.0
"""Time in seconds after which there is no further call, because most calls of the client retry themselves."""
MAX_PAUSE = 300.0
"""Maximum pause in seconds that the Hub may ask for; it counts requests in windows of five minutes."""
TRANSIENT_STATUS = (408, 429, 500, 502, 503, 504)
TRANSPORT_MODULES = ("httpx", "httpcore", "requests", "urllib3")
"""Modules whose exceptions mean a network failure; huggingface_hub has changed its HTTP library before."""


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an error, or None."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return None if status is None else int(status)


def is_transport(error: BaseException) -> bool:
    """Return whether the network failed."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    foreign = type(error).__module__.split(".")[0].startswith(TRANSPORT_MODULES)
    return foreign and status_of(error) is None


def is_transient(error: BaseException) -> bool:
    """Return whether a retry may succeed. Never after an InrzooError, whatever caused it."""
    return not isinstance(error, InrzooError) and any(
        status_of(cause) in TRANSIENT_STATUS or is_transport(cause) for cause in _causes(error)
    )


def retrying(call: Callable[[], Result]) -> Result:
    """Make an idempotent call, and retry it after transient failures."""
    policy = retry_policy(
        is_transient, tries=TRIES, first_pause=FIRST_PAUSE, patience=PATIENCE, requested_pause=_requested_pause
    )
    return policy(call)


def _requested_pause(error: BaseException) -> float:
    """Return the pause in seconds that the Hub requests, 0 if none, at most `MAX_PAUSE`."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    limit = parse_ratelimit_headers(headers) if status_of(error) == 429 else None
    pause = headers.get("Retry-After", "") if limit is None else str(limit.reset_in_seconds)
    return min(MAX_PAUSE, float(pause)) if pause.isdecimal() else 0.0


@contextmanager
def explained(repo_id: str) -> Iterator[None]:
    """Turn exceptions of the client into one line for the user.

    Raises:
        InrzooError: the user, the network or the Hub can fix the error; other exceptions pass through.
    """
    try:
        with limited_client():
            yield
    except InrzooError:
        raise
    except Exception as error:
        for cause in _causes(error):
            line = _line(cause, repo_id)
            if line is not None:
                raise InrzooError(line) from None
        if isinstance(error, ANSWERS) and _in_client(error):
            reason = f"{type(error).__name__}: {_first_line(error)}"[:200]
            raise InrzooError(f"the Hub's answer about {repo_id} is malformed ({reason})") from None
        raise


def _in_client(error: Exception) -> bool:
    """Return whether the client, or `transport`, failed while reading an answer."""
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_globals.get("__name__", "").startswith(("huggingface_hub.", "inrzoo.hub.transport")):
            return True
        frame = frame.tb_next
    return False


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and its causes, as the client wraps a failed upload in a RuntimeError."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _line(error: BaseException, repo_id: str) -> str | None:
    status = status_of(error)
    if isinstance(error, TooMuch | TooSlow):
        return f"{repo_id}: {error}; finished files are safe, run the same command again later"
    if isinstance(error, HFValidationError):
        return f"{repo_id} cannot be a dataset's name: expected USER/NAME of letters, digits, '-', '_' and '.'"
    if isinstance(error, LocalTokenNotFoundError):
        return f"no token for the Hub; {LOG_IN}"
    if isinstance(error, GatedRepoError):
        return f"{repo_id} is gated; ask for access at https://huggingface.co/datasets/{repo_id}"
    if isinstance(error, RevisionNotFoundError):
        return f"{repo_id} has no such revision; `inrzoo pull` without --revision takes the newest version"
    if isinstance(error, RepositoryNotFoundError):
        return f"no dataset {repo_id} on the Hub, or this token may not see it; {LOG_IN}"
    if isinstance(error, EntryNotFoundError):
        return f"{repo_id} lacks a file ({_first_line(error)}); it was not pushed by inrzoo, or changed by hand"
    if status == 401:
        return f"the Hub does not know this token (401); {LOG_IN}"
    if status == 403:
        return f"this token may not write to {repo_id} (403); use a token with write permission for it"
    if status == 429:
        return "the Hub asks for a pause (429, too many requests); run the same command again in a few minutes"
    if status is not None and status >= 500:
        return f"the Hub has a problem (status {status}); finished files are safe, run the same command again later"
    if status is not None:
        return f"the Hub refused (status {status}) for {repo_id}: {_first_line(error)}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({error.filename or 'no space left'}); free some space, run the same command again"
    if isinstance(error, OSError) and str(error).startswith("Consistency check failed"):
        return f"a file of {repo_id} has a wrong size; finished files are safe, run the same command again"
    if isinstance(error, PermissionError):
        return f"{error.filename} cannot be written: permission denied"
    if is_transport(error):
        return f"no connection to the Hub ({type(error).__name__}); finished files are safe, run the same command again"
    return None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
