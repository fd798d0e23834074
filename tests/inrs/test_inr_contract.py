"""Every INR keeps the contract, in every setting of its own; and the contract notices whoever breaks it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from inr_contract import (
    CHECKS,
    check_canonical_form,
    check_formula,
    check_motions,
    check_numpy,
    check_start,
    check_symmetries,
    fitted,
    make,
    settings,
)

from inrzoo.errors import InrzooError
from inrzoo.formula import Formula
from inrzoo.inrs import INR, permute_randomly
from inrzoo.inrs.siren import Siren

SETTINGS = list(settings())
SHAPE = {"in_features": 2, "out_features": 1, "hidden_features": 8}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name, fields", SETTINGS, ids=[f"{name} {fields}" for name, fields in SETTINGS])
def test_every_inr_keeps_the_contract(name, fields, check):
    check(make(name, **fields))


class CanonicalFormIsTheInput(Siren):
    def canonicalise(self, weights):
        return weights


class CanonicalFormForgetsSigns(Siren):
    def canonicalise(self, weights):
        order = self.layout.split(weights)["weight_0"].norm(dim=-1).argsort(-1)
        return self.layout.permute_each(weights, {"hidden_0": order})


class CanonicalFormIsAnotherFunction(Siren):
    def canonicalise(self, weights):
        return 0.5 * super().canonicalise(weights)


class CanonicalFormMixesTheBatch(Siren):
    def canonicalise(self, weights):
        return super().canonicalise(weights) + (0 if weights.ndim == 1 else 1e-3 * weights.ndim)


class SymmetryChangesTheFunction(Siren):
    def random_member(self, weights, generator):
        return -permute_randomly(self.layout, weights, generator)


class SymmetryDoesNothing(Siren):
    def random_member(self, weights, generator):
        return weights


class MovesTheOtherWay(Siren):
    def transform_coords(self, weights, matrix, shift):
        return super().transform_coords(weights, matrix, -shift)


class MovesByTheInverse(Siren):
    def transform_coords(self, weights, matrix, shift):
        return super().transform_coords(weights, torch.linalg.inv(matrix), shift)


class RefusesToMove(Siren):
    def transform_coords(self, weights, matrix, shift):
        raise InrzooError("cannot")


class StartsTooWide(Siren):
    def init(self, stream):
        return np.float32(1.1) * super().init(stream)


class StartsOffCentre(Siren):
    def init(self, stream):
        return super().init(stream) + np.float32(0.01)


class StartsWithNan(Siren):
    def init(self, stream):
        return super().init(stream) * np.float32("nan")


class FormulaForgetsTheFactorOfTheBias(Siren):
    def formula(self):
        made = super().formula()
        return replace(made, layers=tuple(replace(layer, bias_factor=1.0) for layer in made.layers))


class FormulaAddsAnOffset(Siren):
    def formula(self):
        return replace(super().formula(), offset=0.5)


class IsAnotherFunctionForNumpy(Siren):
    def values(self, weights_BP, coords_BKD):
        values = super().values(weights_BP, coords_BKD)
        return values if isinstance(values, torch.Tensor) else values + np.float32(2e-5)


class LeavesNumpy(Siren):
    def values(self, weights_BP, coords_BKD):
        return super().values(*(torch.tensor(np.array(array)) for array in (weights_BP, coords_BKD)))


@pytest.mark.parametrize(
    "toy, check",
    [
        (CanonicalFormIsTheInput, check_canonical_form),
        (CanonicalFormForgetsSigns, check_canonical_form),
        (CanonicalFormIsAnotherFunction, check_canonical_form),
        (CanonicalFormMixesTheBatch, check_canonical_form),
        (SymmetryChangesTheFunction, check_symmetries),
        (SymmetryDoesNothing, check_symmetries),
        (MovesTheOtherWay, check_motions),
        (MovesByTheInverse, check_motions),
        (RefusesToMove, check_motions),
        (IsAnotherFunctionForNumpy, check_numpy),
        (LeavesNumpy, check_numpy),
        (StartsTooWide, check_start),
        (StartsOffCentre, check_start),
        (StartsWithNan, check_start),
        (FormulaForgetsTheFactorOfTheBias, check_formula),
        (FormulaAddsAnOffset, check_formula),
    ],
)
def test_the_contract_notices_a_broken_promise(toy, check):
    check(Siren(**SHAPE))
    with pytest.raises(AssertionError):
        check(toy(**SHAPE))


@dataclass(frozen=True, kw_only=True)
class Research(INR):
    """A family of which nothing is known but how it starts and what its values are."""

    @property
    def layout(self):
        return self.like.layout

    @property
    def like(self):
        return Siren(in_features=self.in_features, out_features=self.out_features, hidden_features=8)

    def init(self, stream):
        return self.like.init(stream)

    def values(self, weights_BP, coords_BKD):
        return self.like.values(weights_BP, coords_BKD)


def test_a_formula_has_the_numbers_of_every_layer():
    inr = Siren(**SHAPE, hidden_layers=2, omega_0=20.0, omega_hidden=3.0, bias_inside=False, output_offset=-0.25)
    check_formula(inr)
    made = inr.formula()
    assert made.latex == (
        r"$f(x) = W_{3} h_{3} + b_{3} -0.25$, where $h_0 = x$ and "
        r"$h_{i+1} = \sin(\omega_i W_i h_i + b_i)$ with $\omega = (20, 3, 3)$."
    )
    assert made.agrees_with(replace(made, latex="another sentence"))
    assert not made.agrees_with(replace(made, offset=0.0)) and not made.agrees_with(None)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"layers": []}, "0 layers"),
        ({"layers": [{"weight": "weight_0"}]}, "formula.layers lacks bias"),
        ({"filters": [{"omega": "omega_0", "phi": "phi_0"}]}, "1 filters of 2 layers"),
        ({"filters": [{"omega": "a", "phi": "b", "mu": "c"}] * 2}, "half an envelope"),
        ({"encoding": [[1.0], [1.0, 2.0]]}, "several lengths"),
        ({"offset": float("nan")}, "not finite"),
        ({"latex": 7}, "formula.latex = 7"),
    ],
    ids=str,
)
def test_an_impossible_formula_is_refused_in_one_line(changes, said):
    layer = {"weight": "weight_0", "bias": "bias_0"}
    with pytest.raises(InrzooError, match=said) as caught:
        Formula.from_json({"latex": "", "layers": [layer, layer], **changes})
    assert "\n" not in str(caught.value)


def test_a_family_that_knows_neither_its_symmetries_nor_motions_says_so():
    inr = Research(in_features=2, out_features=1)
    for check in CHECKS:
        check(inr)
    with pytest.raises(InrzooError, match=r"^Research has no canonical form: it does not define canonicalise$"):
        inr.canonicalise(fitted(inr))
    with pytest.raises(InrzooError, match=r"^Research cannot be moved exactly: it does not define transform_coords$"):
        inr.transform_coords(fitted(inr), torch.eye(2), torch.zeros(2))
