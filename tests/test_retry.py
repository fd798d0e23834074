"""Transient errors are retried, with pauses that grow and differ; other errors are not."""

from collections.abc import Callable

import pytest

from inrzoo.retry import retry_policy


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses in seconds that were made; none is waited for."""
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


def failing(times: int, error: BaseException, calls: list[int]) -> Callable[[], str]:
    def call() -> str:
        calls.append(len(calls))
        if len(calls) <= times:
            raise error
        return "an answer"

    return call


def is_transient(error: BaseException) -> bool:
    return isinstance(error, ConnectionError)


def test_pauses_double_up_to_the_longest_and_lose_at_most_a_half(pauses: list[float]) -> None:
    policy = retry_policy(is_transient, tries=7, first_pause=2.0, max_pause=30.0)
    assert policy(failing(6, ConnectionError(), [])) == "an answer"
    longest = [2, 4, 8, 16, 30, 30]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert len({pause / most for pause, most in zip(pauses, longest, strict=True)}) == 6


def test_after_the_last_try_its_error_is_raised(pauses: list[float]) -> None:
    calls: list[int] = []
    policy, error = retry_policy(is_transient, tries=3), ConnectionError("no")
    with pytest.raises(ConnectionError) as caught:
        policy(failing(9, error, calls))
    assert caught.value is error and len(calls) == len(pauses) + 1 == policy.statistics["attempt_number"] == 3


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt()])
def test_another_error_is_raised_at_once(pauses: list[float], error: BaseException) -> None:
    calls: list[int] = []
    with pytest.raises(type(error)):
        retry_policy(is_transient, tries=3)(failing(9, error, calls))
    assert len(calls) == 1 and pauses == []


def test_a_requested_pause_is_kept(pauses: list[float]) -> None:
    policy = retry_policy(is_transient, tries=3, first_pause=1.0, requested_pause=lambda error: 7.0)
    assert policy(failing(2, ConnectionError(), [])) == "an answer" and pauses == [7.0, 7.0]


def test_patience_ends_the_tries(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    clock = iter(range(0, 1000, 15))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    calls: list[int] = []
    with pytest.raises(ConnectionError):
        retry_policy(is_transient, tries=9, patience=20.0)(failing(9, ConnectionError(), calls))
    assert 1 < len(calls) < 9
