"""An engine whose bits do not depend on the batch gets several blocks in one call; the store is the same."""

from pathlib import Path
from typing import Any

import pytest
from tiny_store import SEEDS, SIGNALS, store_bytes, tiny

from inrzoo.builder import build, execute
from inrzoo.builder.execute import Worker
from inrzoo.fit import FitProblem, fused_cpu
from inrzoo.fit.result import Fit
from inrzoo.inrs.siren import Siren
from inrzoo.store import Block


@pytest.mark.skipif(fused_cpu.unavailable(Siren(in_features=2, out_features=1)) is not None, reason="no fused engine")
def test_a_store_is_the_same_however_many_blocks_a_call_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    original = fused_cpu.fit

    def fit(problem: FitProblem, threads: int = 1) -> Fit:
        calls.append(len(problem.starts_BP))
        return original(problem, threads)

    monkeypatch.setattr(fused_cpu, "fit", fit)
    settings = tiny(fit__engine="fused", fit__steps=5, fit__num_coords=16)  # keys of draws are of each block, too
    build(settings, tmp_path / "one.zarr", in_process=True, quiet=True)
    one_by_one = list(calls)
    monkeypatch.setattr(fused_cpu, "INRS_AT_ONCE", 2 * max(one_by_one))
    calls.clear()
    build(settings, tmp_path / "two.zarr", in_process=True, quiet=True)
    assert sum(one_by_one) == sum(calls) == SIGNALS * SEEDS
    assert len(calls) < len(one_by_one) and max(calls) == 2 * max(one_by_one)
    assert store_bytes(tmp_path / "one.zarr") == store_bytes(tmp_path / "two.zarr")


def test_a_block_that_fails_leaves_those_that_were_fitted_with_it(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: Worker, block: Block) -> Any:
        return fit_blocks(None, [block])[0]

    def fit_blocks(_: object, blocks: list[Block], *words: Any, **named: Any) -> Any:
        if Block(0, 1) in blocks:
            raise ZeroDivisionError("no")
        return blocks

    monkeypatch.setattr(execute, "blocks_at_once", lambda store: 3)
    monkeypatch.setattr(execute, "fit_blocks", fit_blocks)
    monkeypatch.setattr(Worker, "run", run)
    together = [Block(0, 0), Block(0, 1), Block(0, 2)]
    assert Worker(str(finished), "cpu").run_all(together, again=False) == [
        Block(0, 0),
        "ZeroDivisionError: no",
        Block(0, 2),
    ]
