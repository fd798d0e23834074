"""`WeightStream`: every INR once, whoever takes part; continued anywhere, as if it had never stopped."""

import multiprocessing
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

import inrzoo
from inrzoo.errors import InrzooError
from inrzoo.loaders import Pairs, WeightStream
from inrzoo.loaders.batch import join
from inrzoo.loaders.order import Order

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


class Numbers:
    """Items that are their own numbers, in chunks and shards of random sizes."""

    def __init__(self, sizes, per_shard):
        self.starts = np.cumsum([0, *sizes])
        self.shards = np.arange(len(sizes)) // per_shard
        self.layout = SimpleNamespace(num_params=1)

    def __len__(self):
        return int(self.starts[-1])

    def chunks(self):
        return self.starts, self.shards

    def read(self, positions, *, epoch, key):
        return (positions.tolist(), epoch, key)

    def prefetch(self, positions):
        pass

    read_ahead = prefetch

    def in_use(self, positions):
        from contextlib import nullcontext

        return nullcontext()

    def release(self):
        pass


sources = st.builds(Numbers, st.lists(st.integers(1, 9), min_size=1, max_size=25), st.integers(1, 6))
orders = st.fixed_dictionaries(
    {
        "shuffle": st.booleans(),
        "seed": st.integers(0, 5),
        "buffer": st.integers(1, 60),
        "shards_at_once": st.integers(1, 5),
    }
)
sizes = st.integers(1, 40)


def items(batches):
    return [item for batch in batches for item in batch[0]]


def parts(source, world, workers, **options):
    """Return the batches of each worker of each rank, as lists of batches: [rank][worker]."""
    given_by = []
    for rank in range(world):
        stream = WeightStream(source, rank=rank, world=world, **options)
        given_by.append([])
        for worker in range(workers):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("inrzoo.loaders.stream.worker_and_workers", lambda worker=worker: (worker, workers))
                given_by[-1].append(list(stream))
                stream.set_epoch(0)
    return given_by


# --- the order ---------------------------------------------------------------------------------------------------


@given(sources, orders, st.integers(0, 3), st.data())
def test_an_order_is_a_permutation_that_can_be_entered_anywhere(source, order_options, epoch, data):
    order = Order(*source.chunks(), **order_options)

    def places(position):
        return [
            (window.begin, window.positions.tolist())
            for group in order.groups(epoch, position)
            for window in group.windows
        ]

    whole = places(0)
    assert sorted(number for _, numbers in whole for number in numbers) == list(range(len(source)))
    assert [begin for begin, _ in whole] == np.cumsum([0, *(len(numbers) for _, numbers in whole)])[:-1].tolist()
    position = data.draw(st.integers(0, len(source) - 1))
    rest = places(position)
    assert rest == whole[len(whole) - len(rest) :]
    assert rest[0][0] <= position


def test_without_shuffling_the_order_is_that_of_the_disk():
    source = Numbers([3, 4, 5, 1], 2)
    assert items(WeightStream(source, batch_size=4)) == list(range(13))


def test_shuffling_depends_on_seed_and_epoch_and_nothing_else():
    source = Numbers([8] * 20, 4)

    def order(seed=0, epoch=0):
        stream = WeightStream(source, shuffle=True, seed=seed, buffer=32)
        stream.set_epoch(epoch)
        return items(stream)

    first = order()
    assert order() == first
    assert first != list(range(160))
    assert first != order(seed=1) != order(epoch=1) != first


def test_a_pass_that_ended_advances_the_epoch():
    stream = WeightStream(Numbers([8] * 20, 4), shuffle=True)
    first, second = items(stream), items(stream)
    assert stream.epoch == 2
    assert first != second
    stream.set_epoch(0)
    assert items(stream) == first


def test_a_window_mixes_chunks_of_all_shards_of_its_group():
    """64 shards of 4 chunks of 8, 4 shards at a time, windows of 64: 8 of the group's 16 chunks in each."""
    order = Order(*Numbers([8] * 256, 4).chunks(), shuffle=True, seed=0, buffer=64, shards_at_once=4)
    groups = list(order.groups(0))
    assert len(groups) == 16
    distinct_shards = [len(np.unique(window.positions // 32)) for group in groups for window in group.windows]
    distinct_chunks = [len(np.unique(window.positions // 8)) for group in groups for window in group.windows]
    assert {len(window.positions) for group in groups for window in group.windows} == {64}
    assert set(distinct_chunks) == {8}
    assert np.mean(distinct_shards) > 3.5
    neighbours = np.diff(np.concatenate([window.positions for group in groups for window in group.windows]))
    assert np.mean(neighbours == 1) < 0.05  # of neighbours on disk 1/64 follow each other by chance


def test_every_item_may_come_first():
    """Over many epochs the first item is drawn from the whole set: no place of the disk is favoured."""
    source = Numbers([4] * 16, 4)
    order = Order(*source.chunks(), shuffle=True, seed=0, buffer=16, shards_at_once=2)
    first = [next(order.groups(epoch)).windows[0].positions[0] for epoch in range(1600)]
    counts = np.bincount(first, minlength=64)
    assert (np.square(counts - 25) / 25).sum() < 63 + 4 * (2 * 63) ** 0.5  # χ² with 63 degrees of freedom


# --- who gets what -----------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(sources, orders, sizes, st.integers(1, 4), st.integers(1, 3))
def test_every_item_once_whoever_takes_part(source, order, batch_size, world, workers):
    batches = parts(source, world, workers, batch_size=batch_size, **order)
    given_out = sorted(items([batch for rank in batches for worker in rank for batch in worker]))
    assert given_out == list(range(len(source)))
    for rank, of_rank in enumerate(batches):
        stream = WeightStream(source, batch_size=batch_size, rank=rank, world=world, **order)
        assert sum(map(len, of_rank)) == len(stream)


@given(sources, orders, sizes, st.integers(1, 4), st.integers(1, 3))
def test_workers_put_together_give_what_one_process_gives(source, order, batch_size, world, workers):
    alone = parts(source, world, 1, batch_size=batch_size, **order)
    shared = parts(source, world, workers, batch_size=batch_size, **order)
    for rank in range(world):
        in_turn = [shared[rank][k % workers][k // workers] for k in range(len(alone[rank][0]))]
        assert in_turn == alone[rank][0]


@given(sources, orders, sizes, st.integers(1, 4), st.integers(1, 3))
def test_even_ranks_get_equally_many_whole_batches(source, order, batch_size, world, workers):
    batches = parts(source, world, workers, batch_size=batch_size, drop_uneven=True, **order)
    counts = [sum(map(len, rank)) for rank in batches]
    assert set(counts) == {len(source) // (world * batch_size)}
    given_out = items([batch for rank in batches for worker in rank for batch in worker])
    assert len(given_out) == len(set(given_out)) == counts[0] * world * batch_size
    assert len(WeightStream(source, batch_size=batch_size, rank=0, world=world, drop_uneven=True)) == counts[0]


def numbers_of(batches):
    return [pair for batch in batches for pair in zip(batch.signal.tolist(), batch.seed.tolist(), strict=True)]


def test_two_dataloader_workers_times_two_ranks_see_every_inr_once(made):
    expected = numbers_of([inrzoo.load(made)[:]])
    found = []
    for rank in range(2):
        stream = inrzoo.load(made, streaming=True, shuffle=True, batch_size=7, rank=rank, world=2)
        batches = list(DataLoader(stream, batch_size=None, num_workers=2))
        alone = inrzoo.load(made, streaming=True, shuffle=True, batch_size=7, rank=rank, world=2)
        assert [batch.signal.tolist() for batch in batches] == [batch.signal.tolist() for batch in alone]
        found += numbers_of(batches)
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("pairs", [False, True])
def test_a_dataloader_that_would_join_batches_is_refused(made, workers, pairs):
    stream = (
        WeightStream(Pairs(inrzoo.load(made)), batch_size=4)
        if pairs
        else inrzoo.load(made, streaming=True, batch_size=4)
    )
    with pytest.raises(
        InrzooError, match=r"would join 3 batches; write DataLoader\(stream, batch_size=None\); the size"
    ):
        next(iter(DataLoader(stream, batch_size=3, num_workers=workers)))


@pytest.mark.slow
def test_batches_of_a_stream_pass_through_dataloaders_that_join_none(made):
    """One batch at a time, persistent workers in two epochs, a wrapped stream: each batch is one of the stream."""

    class Wrapped(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(inrzoo.load(made, streaming=True, batch_size=7))

    expected = [batch.weights for batch in inrzoo.load(made, streaming=True, batch_size=7)]
    stream = inrzoo.load(made, streaming=True, batch_size=7)
    persistent = DataLoader(stream, batch_size=None, num_workers=1, persistent_workers=True)
    for loader in (
        DataLoader(stream),
        DataLoader(stream, batch_size=None),
        DataLoader(Wrapped(), batch_size=None),
        persistent,
        persistent,
    ):
        batches = list(loader)
        assert len(batches) == len(expected)
        assert all(torch.equal(batch.weights, weights) for batch, weights in zip(batches, expected, strict=True))
    moved = [batch.to("cpu") for batch in batches]
    assert len(join(moved)) == sum(map(len, expected))  # joined on purpose


def _rank_of_two(rank, address, made, queue):
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    stream = inrzoo.load(made, streaming=True, shuffle=True, batch_size=7)
    queue.put(numbers_of(DataLoader(stream, batch_size=None, num_workers=2, multiprocessing_context="spawn")))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_ranks_are_those_of_torch_distributed_also_in_spawned_workers(made, tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    address = f"file://{tmp_path}/rendezvous"
    ranks = [context.Process(target=_rank_of_two, args=(rank, address, made, queue)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    found = queue.get(timeout=120) + queue.get(timeout=120)
    for rank in ranks:
        rank.join(60)
        assert rank.exitcode == 0
    assert sorted(found) == sorted(numbers_of([inrzoo.load(made)[:]]))


# --- continuing --------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(sources, orders, sizes, st.integers(1, 3), st.integers(0, 2), st.data())
def test_continued_at_any_batch_the_rest_is_the_same(source, order, batch_size, world, epoch, data):
    for rank in range(world):
        options = {"batch_size": batch_size, "rank": rank, "world": world, **order}
        whole = WeightStream(source, **options)
        whole.set_epoch(epoch)
        expected = list(whole)
        stop = data.draw(st.integers(0, len(expected)))
        broken_off = WeightStream(source, **options)
        broken_off.set_epoch(epoch)
        batches = iter(broken_off)
        for _ in range(stop):
            next(batches)
        state = broken_off.state_dict()
        again = WeightStream(source, **options)
        again.load_state_dict(state)
        again.set_epoch(epoch)  # as a training loop does; it must not undo the state
        assert list(again) == expected[stop:]
        assert again.epoch == epoch + 1


@settings(max_examples=40)
@given(sources, orders, sizes, sizes, st.integers(1, 3), st.integers(1, 3), st.data())
def test_continued_by_another_number_of_ranks_the_rest_is_complete(source, order, b, other_b, world, other, data):
    rounds = len(source) // (world * b)
    stop = data.draw(st.integers(0, rounds))
    seen, states = [], []
    for rank in range(world):
        stream = WeightStream(source, batch_size=b, rank=rank, world=world, **order)
        batches = iter(stream)
        seen += items([next(batches) for _ in range(stop)])
        states.append(stream.state_dict())
    assert states == [states[0]] * world
    for rank in range(other):
        stream = WeightStream(source, batch_size=other_b, rank=rank, world=other, **order)
        stream.load_state_dict(states[0])
        seen += items(stream)
    assert sorted(seen) == list(range(len(source)))


def test_weights_are_the_same_to_the_bit_after_continuing(made):
    def stream():
        return inrzoo.load(made, streaming=True, shuffle=True, batch_size=9, buffer=16)

    whole = list(stream())
    for stop in range(len(whole) + 1):
        first = stream()
        batches = iter(first)
        for _ in range(stop):
            next(batches)
        again = stream()
        again.load_state_dict(first.state_dict())
        rest = list(again)
        assert len(rest) == len(whole) - stop
        for ours, theirs in zip(rest, whole[stop:], strict=True):
            assert torch.equal(ours.weights, theirs.weights)


def test_batches_made_by_workers_are_counted_by_the_user(made):
    options = {"streaming": True, "shuffle": True, "batch_size": 9}
    stream = inrzoo.load(made, **options)
    whole = list(DataLoader(stream, batch_size=None, num_workers=2))
    state = stream.state_dict(batches=5)
    again = inrzoo.load(made, **options)
    again.load_state_dict(state)
    rest = list(DataLoader(again, batch_size=None, num_workers=2))
    assert [batch.signal.tolist() for batch in rest] == [batch.signal.tolist() for batch in whole[5:]]


def test_the_state_counts_what_was_used_and_not_what_was_made_ahead():
    stream = WeightStream(Numbers([8] * 20, 4), batch_size=10, prefetch=5)
    batches = iter(stream)
    next(batches), next(batches)
    assert stream.state_dict()["position"] == 20


def test_a_state_of_another_stream_is_refused_by_name():
    source = Numbers([8] * 20, 4)
    state = WeightStream(source, shuffle=True, seed=1, buffer=16).state_dict()
    for options, word in [
        ({"shuffle": True, "seed": 2, "buffer": 16}, "seed: 1 → 2"),
        ({"shuffle": False, "seed": 1, "buffer": 16}, "shuffle: True → False"),
        ({"shuffle": True, "seed": 1, "buffer": 17}, "buffer: 16 → 17"),
    ]:
        with pytest.raises(InrzooError, match=word):
            WeightStream(source, **options).load_state_dict(state)
    with pytest.raises(InrzooError, match="length: 160 → 8"):
        WeightStream(Numbers([8], 1), shuffle=True, seed=1, buffer=16).load_state_dict(state)


def test_iterating_again_begins_again():
    stream = WeightStream(Numbers([8] * 4, 4), batch_size=5)
    next(iter(stream))
    assert items(stream) == list(range(32))


# --- the thread --------------------------------------------------------------------------------------------------


@given(sources, orders, sizes, st.integers(1, 4))
@settings(max_examples=25)
def test_batches_made_ahead_are_the_same(source, order, batch_size, count):
    plain = WeightStream(source, batch_size=batch_size, **order)
    ahead = WeightStream(source, batch_size=batch_size, prefetch=count, **order)
    assert list(ahead) == list(plain)


def test_an_error_ahead_is_raised_at_its_batch():
    class Broken(Numbers):
        def read(self, positions, *, epoch, key):
            if key == 20:
                raise InrzooError("shard 3 is gone")
            return super().read(positions, epoch=epoch, key=key)

    batches = iter(WeightStream(Broken([8] * 20, 4), batch_size=10, prefetch=4))
    assert len([next(batches), next(batches)]) == 2
    with pytest.raises(InrzooError, match="shard 3 is gone"):
        next(batches)


def test_a_stream_that_nobody_reads_leaves_no_thread():
    before = threading.active_count()
    batches = iter(WeightStream(Numbers([8] * 20, 4), batch_size=1, prefetch=2))
    next(batches)
    assert threading.active_count() == before + 1
    batches.close()
    assert threading.active_count() == before


# --- memory ------------------------------------------------------------------------------------------------------

MEMORY = """
import sys
from pathlib import Path
import numpy as np
sys.path[:0] = ["tests", "tests/loaders"]
from made_stores import P, make_store
import inrzoo

count, steps = 40_000, tuple(range(1, 65))
path = Path(sys.argv[1])
weights = np.random.default_rng(0).random((count, 1, 64, P), dtype=np.float32)
store = make_store(path, splits=(count,), num_seeds=1, steps=steps, shard_rows=2048, weights_NSTP=weights)
del weights, store

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

for shuffle in (False, True):
    stream = inrzoo.load(path, streaming=True, shuffle=shuffle, buffer=2048, prefetch=2)
    before = resident()
    for _ in range(2):  # the first pass also fills what is made once
        peaks = [0] * 4
        for number, batch in enumerate(stream):
            peaks[number * 4 // len(stream)] = max(peaks[number * 4 // len(stream)], resident())
    print(before, *peaks)
"""


@pytest.mark.slow
def test_the_memory_of_a_stream_stays_flat(tmp_path):
    """154 MB in 20 shards; every page of them is touched."""
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "large.zarr")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    for line in done.stdout.splitlines():
        before, *peaks = map(int, line.split())
        assert max(peaks) < 1.1 * min(peaks), line
        assert max(peaks) < before + 60e6, line
    assert len(done.stdout.splitlines()) == 2
