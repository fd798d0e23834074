"""Which INRs a dataset holds, and in which chunk of which shard each lies."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_stores import make_store

from inrzoo.loaders.rows import Rows
from inrzoo.store import Store, open_store


@pytest.fixture(scope="module")
def stores(made: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Store]:
    """Two that are cut differently."""
    other = make_store(tmp_path_factory.mktemp("other") / "other.zarr", shard_rows=20, diverged=((0, 1), (19, 0)))
    return [open_store(made), other]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    num_stores=st.integers(1, 2),
    split=st.sampled_from([None, "train", "validation", "test"]),
    seeds=st.lists(st.integers(0, 2), min_size=1, unique=True),
    both_views=st.booleans(),
    min_psnr=st.sampled_from([None, 0.4, 0.9]),
)
def test_items_and_chunks_are_those_found_one_by_one(
    stores: list[Store], num_stores: int, split: str | None, seeds: list[int], both_views: bool, min_psnr: float | None
) -> None:
    """INR after INR as they lie in the shards: number, chunk and shard of each are compared."""
    chosen = stores[:num_stores]
    quantile = None if min_psnr is None else float(np.nanquantile(chosen[0].psnr, min_psnr))
    views = list(chosen[0].snapshots) if both_views else None
    number, kept, homes = 0, [], []
    for place, store in enumerate(chosen):
        for seed in range(store.num_seeds):
            for signal in range(store.num_signals):
                for step in range(len(store.snapshots)):
                    good = (
                        seed in seeds
                        and (both_views or step == len(store.snapshots) - 1)
                        and store.status[signal, seed] in (1, 2)
                        and (split is None or store.info.split_names[store.split[signal]] == split)
                        and (quantile is None or store.psnr[signal, seed, step] >= quantile)
                    )
                    if good:
                        kept.append(number)
                        cut = store.partition
                        homes.append((place, seed, signal // cut.shard_rows, signal // cut.chunk_rows))
                    number += 1
    if not kept:
        return
    conditions = {} if quantile is None else {"min_psnr": quantile}
    rows = Rows(chosen, split=split, seeds=seeds, views=views, conditions=conditions)
    assert rows.items.tolist() == kept
    starts, shards = rows.chunks()
    expected_starts = [at for at in range(len(homes)) if at == 0 or homes[at] != homes[at - 1]]
    assert starts.tolist() == [*expected_starts, len(kept)]
    names = [homes[at][:3] for at in expected_starts]
    assert shards.tolist() == [sorted(set(names)).index(name) for name in names]
