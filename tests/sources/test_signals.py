"""Signals: choosing some of them keeps what is known of each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrzoo.errors import InrzooError
from inrzoo.sources import Signals


def signals_of(codes: list[int]) -> Signals:
    """Signals of one pixel that holds their index."""
    return Signals(
        grid=(1, 1),
        channels=1,
        ids=[f"signal{index}" for index in range(len(codes))],
        labels={"class": np.array(codes, dtype=np.int64)},
        label_names={"class": [str(code) for code in range(max(codes) + 1)]},
        split=(np.arange(len(codes)) % 3).astype(np.uint8),
        values=lambda indices: ((index, np.full((1, 1, 1), index, np.uint8)) for index in indices),
    )


@given(codes=st.lists(st.integers(0, 5), min_size=1, max_size=60), data=st.data())
def test_limit_is_even_over_the_classes(codes, data):
    count = data.draw(st.integers(1, len(codes) + 3))
    chosen = signals_of(codes).limit(count)
    assert len(chosen) == min(count, len(codes))
    assert list(chosen.ids) == sorted(chosen.ids, key=lambda name: int(name.removeprefix("signal")))
    there = {code: codes.count(code) for code in set(codes)}
    taken = {code: int((chosen.labels["class"] == code).sum()) for code in there}
    # A class that could have given more has no fewer than any other, but for rounding.
    unfinished = [taken[code] for code in there if taken[code] < there[code]]
    if unfinished:
        # Sharing out in rounds rounds once a round, of which there are at most as many as classes.
        assert max(taken.values()) - min(unfinished) <= len(there)
        assert max(unfinished) - min(unfinished) <= len(there)


def test_limit_shares_as_documented():
    chosen = signals_of([0] * 10 + [1] * 10 + [2] * 10).limit(7)
    assert np.bincount(chosen.labels["class"]).tolist() == [2, 2, 3]
    small = signals_of([0] * 10 + [1] * 1 + [2] * 10).limit(9)
    assert np.bincount(small.labels["class"]).tolist() == [4, 1, 4]
    spread = signals_of([0] * 10).limit(2)
    assert list(spread.ids) == ["signal2", "signal7"]


@pytest.mark.parametrize("count", [0, -1])
def test_limit_to_nothing_is_one_line(count):
    with pytest.raises(InrzooError, match=f"limit = {count}"):
        signals_of([0, 1]).limit(count)


def test_by_split_makes_every_split_a_range_and_keeps_the_order_inside():
    view = signals_of([0] * 9).by_split()
    assert view.split.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [name.removeprefix("signal") for name in view.ids] == ["0", "3", "6", "1", "4", "7", "2", "5", "8"]


@given(st.permutations(range(12)), st.integers(1, 12), st.data())
def test_take_of_take_is_one_take(order, count, data):
    signals = signals_of([index % 4 for index in range(12)])
    second = np.array(data.draw(st.permutations(range(count))), dtype=np.int64)
    first = np.array(order[:count], dtype=np.int64)
    twice = signals.take(first).take(second)
    assert list(twice.ids) == [signals.ids[index] for index in first[second]]
    assert {place: int(array[0, 0, 0]) for place, array in twice.values(range(count))} == dict(
        enumerate(first[second].tolist())
    )
