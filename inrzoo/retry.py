"""Calls that are repeated after transient errors, with pauses that grow, by tenacity."""

import logging
import math
from collections.abc import Callable

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential,
    wait_random_exponential,
)

LOG = logging.getLogger("inrzoo.retry")


def retry_policy(
    is_transient: Callable[[BaseException], bool],
    *,
    tries: int,
    first_pause: float = 0.0,
    max_pause: float = 30.0,
    patience: float = math.inf,
    requested_pause: Callable[[BaseException], float] = lambda error: 0.0,
) -> Retrying:
    """Return a caller of functions: it calls one, and again after each transient error, and raises the last error.

    >>> answers = iter([ConnectionError(), "an answer"])
    >>> def ask():
    ...     answer = next(answers)
    ...     if isinstance(answer, ConnectionError):
    ...         raise answer
    ...     return answer
    >>> retry_policy(lambda error: isinstance(error, OSError), tries=3)(ask)
    'an answer'

    Args:
        is_transient: whether another try may succeed after this error.
        tries: maximum number of calls.
        first_pause: pause in seconds after the first error. It doubles after each error, and is shortened at random by
            up to a half, because many clients that failed together should not return together.
        max_pause: maximum pause in seconds.
        patience: time in seconds since the first call after which there is no further one.
        requested_pause: minimum pause in seconds that an error asks for.

    Returns:
        A `tenacity.Retrying`; `statistics["attempt_number"]` is the number of calls in this thread.
    """
    half = {"multiplier": first_pause / 2, "max": max_pause / 2}
    growing = wait_exponential(**half) + wait_random_exponential(**half)

    def pause(state: RetryCallState) -> float:
        return max(growing(state), requested_pause(_error(state)))

    def log(state: RetryCallState) -> None:
        LOG.debug("%s; next try in %.1f s", type(_error(state)).__name__, state.upcoming_sleep)

    return Retrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_attempt(tries) | stop_after_delay(patience),
        wait=pause,
        before_sleep=log,
        reraise=True,
    )


def _error(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    assert error is not None, "called after errors alone"
    return error
