"""The digits that come with scikit-learn."""

import numpy as np
import pytest
from small_datasets import all_values

from inrzoo.errors import InrzooError
from inrzoo.sources.digits import Digits


def test_the_sixteen_steps_of_grey_become_bytes():
    from sklearn.datasets import load_digits

    original = load_digits().images
    signals = Digits().read(None)
    values = all_values(signals)[..., 0]
    for step in range(17):
        assert set(values[original == step].tolist()) == {round(step * 255 / 16)}
    assert signals.labels["digit"].tolist() == load_digits().target.tolist()


def test_splits_have_the_sizes_asked_for():
    assert np.bincount(Digits().read(None).split).tolist() == [1257, 180, 360]
    assert np.bincount(Digits(num_validation=7, num_test=10).read(None).split).tolist() == [1780, 7, 10]


def test_a_path_is_refused_rather_than_ignored(tmp_path):
    with pytest.raises(InrzooError, match="leave --source out"):
        Digits().read(tmp_path)
