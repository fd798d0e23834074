"""An index means what it means to numpy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrzoo.store.normalize_index import normalize_index

sizes = st.integers(1, 40)


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, Any]:
    size = draw(sizes)
    number = st.integers(-size - 2, size + 1)
    bound = st.none() | st.integers(-50, 50)
    step = st.none() | st.integers(-3, 3).filter(bool)
    kinds = st.one_of(
        number,
        number.map(np.int32),
        st.builds(slice, bound, bound, step),
        st.lists(number, max_size=9),
        st.lists(number, max_size=9).map(lambda found: np.array(found, dtype=np.int16)),
        st.lists(st.booleans(), min_size=size, max_size=size),
        st.lists(st.booleans(), max_size=9).map(np.array),
    )
    return size, draw(kinds)


@given(cases())
def test_as_numpy(case: tuple[int, Any]) -> None:
    size, index = case
    if isinstance(index, np.ndarray) and not index.size:
        index = index.astype(np.int64)
    try:
        expected = np.atleast_1d(np.arange(size)[index])
    except IndexError:
        with pytest.raises(IndexError):
            normalize_index(index, size, "signal")
        return
    found = normalize_index(index, size, "signal")
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int64


def test_an_axis_of_a_million_million() -> None:
    assert normalize_index(slice(10**12 - 2, None), 10**12, "signal").tolist() == [10**12 - 2, 10**12 - 1]
    assert normalize_index([-1, 5], 10**12, "signal").tolist() == [10**12 - 1, 5]


def test_what_is_no_index() -> None:
    with pytest.raises(IndexError, match="float64"):
        normalize_index(1.5, 3, "signal")
    with pytest.raises(IndexError, match="INR 3 is out of range; there are 3"):
        normalize_index([0, 3], 3, "INR")
