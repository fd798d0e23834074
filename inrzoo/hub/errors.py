"""What goes wrong between here and the Hub, in one line each; and what is worth another try."""

import errno
import logging
import time
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
from inrzoo.store.limits import TooMuch, TooSlow

Result = TypeVar("Result")
LOG = logging.getLogger("inrzoo.hub")

ANSWERS = (KeyError, TypeError, ValueError, AttributeError, IndexError)
"""What the client raises where an answer has another form than it expects."""

LOG_IN = "log in with `hf auth login`, or set HF_TOKEN to a token from https://huggingface.co/settings/tokens"
WAITS = (1.0, 2.0, 4.0)
"""Seconds before the second, third and fourth attempt."""
PATIENCE = 20.0
"""Seconds after which no further attempt is made: most of the client's calls have waited and repeated by themselves."""
MAX_PAUSE = 300.0
"""Seconds: the Hub counts requests over windows of five minutes."""
TRANSIENT_STATUS = (408, 429, 500, 502, 503, 504)
TRANSPORT_MODULES = ("httpx", "httpcore", "requests", "urllib3")
"""Whose exceptions say that the network failed: huggingface_hub has changed its HTTP library, so none is named."""


def status_of(error: BaseException) -> int | None:
    """HTTP status of an answer that was an error."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return None if status is None else int(status)


def is_transport(error: BaseException) -> bool:
    """Whether the network failed, rather than the Hub said no."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    foreign = type(error).__module__.split(".")[0].startswith(TRANSPORT_MODULES)
    return foreign and status_of(error) is None


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed a little later."""
    return any(status_of(cause) in TRANSIENT_STATUS or is_transport(cause) for cause in _causes(error))


def retrying(call: Callable[[], Result]) -> Result:
    """Make a call that changes nothing when it is made twice; again after a transient failure."""
    started = time.monotonic()
    for wait in WAITS:
        try:
            return call()
        except Exception as error:
            if not is_transient(error) or time.monotonic() - started > PATIENCE:
                raise
            pause = max(wait, _requested_pause(error))
            LOG.debug("the Hub failed (%s); it is asked again in %.0f s", type(error).__name__, pause)
            time.sleep(pause)
    return call()


def _requested_pause(error: BaseException) -> float:
    """Seconds after which the Hub wants to be asked again, where it says so; never more than `MAX_PAUSE`."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    limit = parse_ratelimit_headers(headers) if status_of(error) == 429 else None
    asked = headers.get("Retry-After", "") if limit is None else str(limit.reset_in_seconds)
    return min(MAX_PAUSE, float(asked)) if asked.isdecimal() else 0.0


@contextmanager
def explained(repo_id: str) -> Iterator[None]:
    """Turn what the client raises into one line for the user.

    Raises:
        InrzooError: for everything that the user, the network or the Hub can put right; other errors pass through.
    """
    try:
        yield
    except InrzooError:
        raise
    except Exception as error:
        for cause in _causes(error):
            line = _line(cause, repo_id)
            if line is not None:
                raise InrzooError(line) from None
        if isinstance(error, ANSWERS) and _in_client(error):
            what = f"{type(error).__name__}: {_first_line(error)}"[:200]
            raise InrzooError(f"what the Hub says of {repo_id} cannot be understood ({what})") from None
        raise


def _in_client(error: Exception) -> bool:
    """Whether the client, or our part of it, failed while it read an answer."""
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_globals.get("__name__", "").startswith(("huggingface_hub.", "inrzoo.hub.transport")):
            return True
        frame = frame.tb_next
    return False


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from: the client wraps a failed upload in a RuntimeError."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _line(error: BaseException, repo_id: str) -> str | None:
    status = status_of(error)
    if isinstance(error, TooMuch | TooSlow):
        return f"{repo_id}: {error}; what arrived is safe, go on with the same command when the Hub is well"
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
        return f"the Hub has a problem (status {status}); what arrived is safe, go on with the same command later"
    if status is not None:
        return f"the Hub refused (status {status}) for {repo_id}: {_first_line(error)}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({error.filename or 'no space left'}); make room, then go on with the same command"
    if isinstance(error, OSError) and str(error).startswith("Consistency check failed"):
        return f"a file of {repo_id} has another size than announced; what arrived is safe, go on with the same command"
    if isinstance(error, PermissionError):
        return f"{error.filename} cannot be written: permission denied"
    if is_transport(error):
        return f"no connection to the Hub ({type(error).__name__}); what arrived is safe, go on with the same command"
    return None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
