"""Seeded draws: even over the classes, the same for ever."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrzoo.errors import InrzooError
from inrzoo.sources._splits import check_split_table, draw_validation, seeded_order, stratified_split


def test_the_order_of_a_seed_never_changes():
    # Stored datasets rest on it: if this fails, every seeded split has moved.
    assert seeded_order(8, 0).tolist() == ORDER_OF_SEED_0
    assert seeded_order(8, 1).tolist() != ORDER_OF_SEED_0


ORDER_OF_SEED_0 = [0, 2, 1, 5, 4, 3, 6, 7]


@given(st.lists(st.integers(0, 4), min_size=4, max_size=80), st.integers(0, 100), st.data())
def test_every_class_gives_its_share(codes, seed, data):
    codes = np.array(codes, dtype=np.int64)
    num_test = data.draw(st.integers(0, len(codes) - 1))
    num_validation = data.draw(st.integers(0, len(codes) - 1 - num_test))
    split = stratified_split(codes, num_validation, num_test, seed)
    assert [(split == code).sum() for code in (1, 2)] == [num_validation, num_test]
    for code in set(codes.tolist()):
        of_class = codes == code
        # The shares of all classes are cut at one place, and each class is half a signal off at most.
        off = 0.5 + of_class.sum() * len(set(codes.tolist())) / (2 * len(codes)) + 1e-9
        assert abs((split[of_class] == 2).sum() - of_class.sum() * num_test / len(codes)) <= off
        drawn = (split[of_class] > 0).sum()
        assert abs(drawn - of_class.sum() * (num_test + num_validation) / len(codes)) <= off


def test_seeds_differ_and_the_test_signals_do_not_depend_on_validation():
    codes = np.arange(100) % 10
    one, more = stratified_split(codes, 10, 20, 0), stratified_split(codes, 40, 20, 0)
    np.testing.assert_array_equal(one == 2, more == 2)
    assert (stratified_split(codes, 10, 20, 1) != one).any()
    assert np.bincount(codes[one == 2]).tolist() == [2] * 10


def test_sizes_that_leave_nothing_to_train_on():
    with pytest.raises(InrzooError, match=r"4 \+ 6 leaves nothing of the 10"):
        stratified_split(np.zeros(10, np.int64), 4, 6, 0)


def test_validation_is_drawn_out_of_train_alone():
    split, codes = np.repeat(np.array([0, 2], np.uint8), [40, 10]), np.arange(50) % 2
    drawn = draw_validation(split, codes, 8, 0)
    assert np.bincount(drawn).tolist() == [32, 8, 10]
    np.testing.assert_array_equal(drawn[40:], 2)
    assert np.bincount(codes[drawn == 1]).tolist() == [4, 4]
    np.testing.assert_array_equal(split[:40], 0)
    with pytest.raises(InrzooError, match="have a validation split"):
        draw_validation(drawn, codes, 8, 0)


def test_a_table_of_classes():
    assert check_split_table("f", {"test": ["a"], "train": ["b", "c"]}) == {"a": 2, "b": 0, "c": 0}
