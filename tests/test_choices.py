"""What several rooms spell alike is declared once, and means in each what it means in the others."""

from typing import get_args

from inrzoo.choices import STATUS_NAMES, USABLE_STATUS, EngineName, Products, Status
from inrzoo.fit import engines, fused_gpu


def test_a_manifest_can_name_every_engine_and_no_other() -> None:
    assert get_args(EngineName) == ("auto", *engines.ENGINES, *engines.RETIRED)


def test_a_manifest_can_name_every_precision_of_a_gpu() -> None:
    assert set(get_args(Products)) == {"auto", *fused_gpu.PRODUCTS}


def test_the_codes_of_a_store_keep_their_names() -> None:
    """Old stores hold these codes and names."""
    assert STATUS_NAMES == ("pending", "ok", "early stop", "diverged") and [*Status] == [0, 1, 2, 3]
    assert USABLE_STATUS == ("ok", "early stop")
