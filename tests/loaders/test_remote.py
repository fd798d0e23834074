"""Stores from afar: the same numbers, fetched once, whole and checked, whatever the line does."""

import hashlib
import multiprocessing
import pickle
import shutil
import sys
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch
from faulty_server import serving
from made_stores import make_store
from torch.utils.data import DataLoader

sys.path.append(str(Path(__file__).parents[1] / "hub"))
from hostile_server import KINDS, Sent, serving_badly

import inrzoo
from inrzoo.addresses import open_store
from inrzoo.errors import InrzooError
from inrzoo.loaders import Pairs, WeightStream

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

QUICK = {"retries": 2, "backoff": 0.001}
SHARD = "made.zarr/weights/c/1/2/0/0"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INRZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server(made):
    with serving(made.parent) as server:
        yield server


@pytest.fixture
def url(server):
    return f"{server.url}/made.zarr"


def fetched(cache):
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("weights/c/**/*") if path.is_file())


# --- the same as a local store -----------------------------------------------------------------------------------


@pytest.mark.parametrize("streaming", [False, True])
def test_what_comes_from_afar_is_what_is_there(made, url, streaming):
    options = {"views": (800, 1000), "signals": True, "streaming": streaming}
    ours, theirs = inrzoo.load(url, **options), inrzoo.load(made, **options)
    pairs = zip(ours, theirs, strict=True) if streaming else [(ours[:], theirs[:])]
    for mine, other in pairs:
        assert torch.equal(mine.weights, other.weights)
        assert torch.equal(mine.targets, other.targets)
        assert torch.equal(mine.label, other.label)


def test_every_way_of_reading_a_store_works_from_afar(made, url):
    ours, theirs = open_store(url), open_store(made)
    np.testing.assert_array_equal(ours.weights[5:20, :, 1], theirs.weights[5:20, :, 1])
    np.testing.assert_array_equal(ours.psnr, theirs.psnr)
    np.testing.assert_array_equal(ours.select(min_psnr=40), theirs.select(min_psnr=40))
    assert ours.signal_ids == theirs.signal_ids
    for name, array in theirs.stats.items():
        np.testing.assert_array_equal(ours.stats[name], array)
    for block in theirs.blocks():
        np.testing.assert_array_equal(ours.weights.block(block), theirs.weights.block(block))
    assert torch.equal(ours.render(3, 1), theirs.render(3, 1))
    assert (ours.to_xarray()["weights"].values == theirs.to_xarray()["weights"].values).all()
    assert ours.location == url


def test_a_file_that_is_not_there_yet_is_never_read_as_nothing(made, url):
    """xarray alone, nothing touched before: zarr would take an absent chunk for its fill value."""
    expected = open_store(made).to_xarray()
    np.testing.assert_array_equal(open_store(url).to_xarray()["psnr"].values, expected["psnr"].values)


def test_any_file_system_of_fsspec_will_do(made):
    memory = fsspec.filesystem("memory")
    memory.put(str(made), "/elsewhere/made.zarr", recursive=True)
    try:
        ours = inrzoo.load("memory://elsewhere/made.zarr", normalise="none")
        assert torch.equal(ours[:].weights, inrzoo.load(made, normalise="none")[:].weights)
    finally:
        memory.rm("/elsewhere", recursive=True)


def test_local_and_remote_stores_are_loaded_as_one(url, tmp_path):
    other = make_store(tmp_path / "other.zarr", splits=(9,))
    both = inrzoo.load([url, other.path], normalise="none")
    assert len(both) == len(inrzoo.load(url)) + len(inrzoo.load(other.path, normalise="none"))


# --- few requests, each file once --------------------------------------------------------------------------------


def test_opening_is_one_request_and_reading_fetches_what_it_touches(server, url, cache):
    store = open_store(url)
    assert dict(server.requests) == {"made.zarr/zarr.json": 1}
    store.weights[13, 2]
    assert server.requests.total() == 2 and server.requests[SHARD] == 1
    assert len(fetched(cache)) == 1


def test_nothing_is_fetched_twice(server, url, cache):
    first = inrzoo.load(url)[:]
    assert max(server.requests.values()) == 1
    again = inrzoo.load(url)[:]
    assert torch.equal(first.weights, again.weights)
    assert {name for name, count in server.requests.items() if count > 1} == {"made.zarr/zarr.json"}


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_processes_share_the_cache(made, server, url, context):
    """A worker's connections are its own, although this process has some, and what one fetched the others find."""
    dataset = inrzoo.load(url, normalise="none")
    assert not [name for name in server.requests if "/weights/c/" in name]
    loader = DataLoader(dataset, batch_size=16, num_workers=2, multiprocessing_context=context)
    weights = torch.cat([batch.weights for batch in loader])
    assert torch.equal(weights, inrzoo.load(made, normalise="none")[:].weights)
    shards = {name: count for name, count in server.requests.items() if "/weights/c/" in name}
    assert len(shards) == 12 and set(shards.values()) == {1}


def _fetch(url, barrier):
    store = open_store(url)
    barrier.wait(60)
    store.weights[:]


def test_two_processes_at_once_fetch_a_shard_once(server, url):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    processes = [context.Process(target=_fetch, args=(url, barrier)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    shards = {name: count for name, count in server.requests.items() if "/weights/c/" in name}
    assert len(shards) == 12 and set(shards.values()) == {1}


def test_a_copy_opens_the_url(url):
    store = pickle.loads(pickle.dumps(open_store(url, cache_limit=12345, **QUICK)))
    assert store.location == url
    assert store.cache.options["cache_limit"] == 12345


def test_the_next_shards_are_fetched_before_they_are_needed(server, url):
    stream = inrzoo.load(
        url, streaming=True, shuffle=True, shards_at_once=1, batch_size=2, buffer=4, normalise="none", seeds=0
    )
    batches = iter(stream)
    next(batches)
    for _ in range(200):  # the thread needs its moment
        if sum("/weights/c/" in name for name in server.requests) >= 2:
            break
        torch.multiprocessing.get_context().Event().wait(0.01)
    assert sum("/weights/c/" in name for name in server.requests) == 2  # this one and the next, of 4
    assert len(list(batches)) == len(stream) - 1


# --- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [503, 429, "cut", "wrong", "short"])
def test_a_failure_that_passes_is_not_seen(made, server, url, fault):
    store = open_store(url, **QUICK)
    server.faults[SHARD] = [fault, fault]
    np.testing.assert_array_equal(store.weights[13, 2], open_store(made).weights[13, 2])
    assert server.requests[SHARD] == 3


@pytest.mark.parametrize("fault", [503, "cut", "wrong", "short"])
def test_after_the_last_try_the_error_names_store_and_shard(server, url, cache, fault):
    store = open_store(url, **QUICK)
    server.faults[SHARD] = [fault] * 3
    with pytest.raises(InrzooError) as caught:
        store.weights[13, 2]
    message = str(caught.value)
    assert url in message and "weights/c/1/2/0/0" in message and "tried 3 times" in message
    assert "\n" not in message
    assert server.requests[SHARD] == 3
    assert fetched(cache) == []  # nothing half-written, nothing wrong
    assert list(cache.rglob("*.partial")) == []
    store.weights[13, 2]  # the line is well again


@pytest.mark.parametrize("fault", [403, 404, 410])
def test_a_refusal_is_not_asked_again(server, url, fault):
    store = open_store(url, **QUICK)
    server.faults[SHARD] = [fault] * 3
    with pytest.raises(InrzooError, match=r"weights/c/1/2/0/0 of .* tried once"):
        store.weights[13, 2]
    assert server.requests[SHARD] == 1


def test_pauses_grow_and_differ(server, url, monkeypatch):
    store = open_store(url, retries=5, backoff=2.0)
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    server.faults[SHARD] = [503] * 5
    store.weights[13, 2]
    for pause, longest in zip(pauses, [2, 4, 8, 16, 30], strict=True):
        assert longest / 2 <= pause <= longest
    assert len({pause / longest for pause, longest in zip(pauses, [2, 4, 8, 16, 30], strict=True)}) == 5


def test_a_small_array_that_fails_names_itself_too(server, url):
    store = open_store(url, **QUICK)
    server.always = 503
    with pytest.raises(InrzooError, match=r"\w+/c/0/\d\S* of .* tried 3 times"):
        _ = store.status


def test_an_error_in_a_stream_is_that_of_the_shard(server, url):
    stream = inrzoo.load(url, streaming=True, normalise="none", prefetch=2, **QUICK)
    for name in [name for name in stream.source.stores[0].cache.checksums if name.startswith("weights/c/")]:
        server.faults[f"made.zarr/{name}"] = [503] * 100
    with pytest.raises(InrzooError, match=r"weights/c/\d/0/0/0"):
        list(stream)


def test_no_store_and_no_server(server, tmp_path):
    with pytest.raises(InrzooError, match=r"could not read zarr.json of .*/absent.zarr"):
        open_store(f"{server.url}/absent.zarr", **QUICK)
    with pytest.raises(InrzooError, match="tried 3 times"):
        open_store("http://127.0.0.1:9/made.zarr", **QUICK)
    with pytest.raises(InrzooError, match=r"could not read zarr.json of teapot://x"):
        open_store("teapot://x/made.zarr", **QUICK)


def test_what_is_no_store_of_ours_is_refused(tmp_path):
    (tmp_path / "other.zarr").mkdir()
    (tmp_path / "other.zarr" / "zarr.json").write_text('{"attributes": {}}')
    with serving(tmp_path) as server, pytest.raises(InrzooError, match="not one of inrzoo's"):
        open_store(f"{server.url}/other.zarr")


def test_a_damaged_root_is_not_believed(made, tmp_path):
    """Its metadata would be read as they stand there: other shapes, other codecs."""
    shutil.copytree(made, tmp_path / "made.zarr")
    root = (tmp_path / "made.zarr" / "zarr.json").read_text()
    (tmp_path / "made.zarr" / "zarr.json").write_text(root.replace('"float32"', '"float64"', 1))
    with serving(tmp_path) as server, pytest.raises(InrzooError, match=r"zarr\.json .*it has sha256"):
        open_store(f"{server.url}/made.zarr", **QUICK)


def test_an_unfinished_store_is_refused(tmp_path):
    make_store(tmp_path / "half.zarr", publish=1)
    with (
        serving(tmp_path) as server,
        pytest.raises(InrzooError, match="is an unfinished store; finish its build") as caught,
    ):
        open_store(f"{server.url}/half.zarr")
    assert "\n" not in str(caught.value)


# --- the cache ---------------------------------------------------------------------------------------------------


def test_a_store_that_changed_is_another_folder(made, tmp_path, cache):
    """The same URL with other bytes behind it: what was fetched before is not mixed with what comes now."""
    home = tmp_path / "home"
    shutil.copytree(made, home / "made.zarr")
    with serving(home) as server:
        url = f"{server.url}/made.zarr"
        before = open_store(url, **QUICK)
        before.weights[0, 0]
        shutil.rmtree(home / "made.zarr")
        make_store(home / "made.zarr", shard_rows=12, weights_NSTP=np.full((45, 3, 2, 15), 7, dtype=np.float32))
        with pytest.raises(InrzooError, match="recorded is"):
            before.weights[40, 2]
        assert (open_store(url, **QUICK).weights[:] == 7).all()
    assert len(list((cache / "stores").iterdir())) == 2


@pytest.fixture
def shard_bytes(made):
    return (made / "weights/c/0/0/0/0").stat().st_size


def test_the_limit_keeps_the_latest(server, url, cache, shard_bytes):
    store = open_store(url, cache_limit=3 * shard_bytes)
    for seed in (0, 1, 2):
        store.weights[0, seed]
    store.weights.release()
    store.weights[0, 0]  # used again: now seed 1 is the longest unused
    store.weights[13, 2]
    assert {name[-9:] for name in fetched(cache)} == {"c/0/0/0/0", "c/0/2/0/0", "c/1/2/0/0"}
    assert max(server.requests.values()) == 1
    store.weights[0, 1]
    assert server.requests["made.zarr/weights/c/0/1/0/0"] == 2
    assert sum(path.stat().st_size for path in cache.rglob("weights/c/**/*") if path.is_file()) <= 3 * shard_bytes


def test_a_shard_in_use_stays(url, cache, shard_bytes):
    store = open_store(url, cache_limit=1)
    with store.weights.in_use(np.array([0]), np.array([0])):
        store.weights[0, 0]
        store.weights[0, 1]
        store.weights[0, 2]
        assert {name[-9:] for name in fetched(cache)} == {"c/0/0/0/0", "c/0/2/0/0"}
    store.weights[0, 1]
    assert {name[-9:] for name in fetched(cache)} == {"c/0/1/0/0"}


def test_a_removed_shard_takes_no_space_in_secret(url, cache):
    """A mapping keeps a removed file's blocks: it is let go of with the file."""
    store = open_store(url, cache_limit=1)
    store.weights[0, 0]
    store.weights[0, 1]
    maps = Path("/proc/self/maps").read_text()
    assert not [line for line in maps.splitlines() if str(cache) in line and "(deleted)" in line]


def test_a_shard_removed_by_another_process_is_fetched_again(made, url, cache):
    store = open_store(url)
    store.weights[13, 2]
    store.weights.release()
    for path in cache.rglob("weights/c/**/*"):
        if path.is_file():
            path.unlink()
    np.testing.assert_array_equal(store.weights[13, 2], open_store(made).weights[13, 2])


def test_a_stream_within_a_small_limit_is_the_same(made, url, cache, shard_bytes):
    options = {
        "streaming": True,
        "shuffle": True,
        "shards_at_once": 2,
        "buffer": 8,
        "batch_size": 4,
        "normalise": "none",
    }
    ours = inrzoo.load(url, cache_limit=4 * shard_bytes, **options)
    most = 0
    for mine, other in zip(ours, inrzoo.load(made, **options), strict=True):
        assert torch.equal(mine.weights, other.weights)
        most = max(most, len(fetched(cache)))
    assert most <= 7  # two groups of two, and what a reader and two threads that fetch ahead have just brought


def test_pairs_stream_from_afar(made, url):
    ours, theirs = (WeightStream(Pairs(inrzoo.load(where)), shuffle=True, batch_size=8) for where in (url, made))
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine.first.weights, other.first.weights)


def test_the_remains_of_a_dead_process_are_swept_away(url, cache, monkeypatch):
    cache = open_store(url).cache
    old, new = cache.folder / "old.partial", cache.folder / "new.partial"
    old.touch(), new.touch()
    import os

    os.utime(old, (0, 0))
    open_store(url)
    assert not old.exists() and new.exists()


def test_what_is_in_the_cache_is_what_the_checksums_say(url, cache):
    inrzoo.load(url, signals=True)[:]
    cache = open_store(url).cache
    names = [name for name in cache.checksums if (cache.folder / name).exists()]
    assert len(names) > 10
    for name in names:
        assert hashlib.sha256((cache.folder / name).read_bytes()).hexdigest() == cache.checksums[name]


# --- a server that is broken or hostile -----------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch):
    """Limits of a second and of a megabyte."""
    monkeypatch.setattr("inrzoo.store.limits.WINDOW_SECONDS", 1.0)
    monkeypatch.setattr("inrzoo.store.limits.WINDOW_BYTES", 2**12)
    monkeypatch.setattr("inrzoo.store.limits.MAX_SMALL_BYTES", 2**20)


HARMLESS = {("endless_pages", "zarr.json"), ("endless_pages", SHARD), ("longer", "zarr.json")}
BADLY = [
    pytest.param(
        kind,
        name,
        marks=() if name == SHARD or kind in ("huge", "bomb", "garbage") else pytest.mark.slow,
        id=f"{kind}-{name.split('/')[-1]}",
    )
    for kind in KINDS
    for name in ("zarr.json", SHARD)
    if (kind, name) not in HARMLESS
]


@pytest.mark.parametrize("kind, name", BADLY)
def test_a_hostile_server_is_left_in_bounded_time(made, cache, impatient, kind, name):
    with serving_badly(made.parent) as server:
        url = f"{server.url}/made.zarr"
        if name == SHARD:
            store = open_store(url, retries=1, backoff=0.001)
        server.kind, server.pattern = kind, f"{name}$"
        began, before = time.monotonic(), Sent.num_bytes
        with pytest.raises(InrzooError) as caught:
            if name == SHARD:
                store.weights[13, 2]
            else:
                open_store(url, retries=1, backoff=0.001)
        assert "\n" not in str(caught.value) and url in str(caught.value)
        if kind in ("endless", "huge", "bomb", "longer"):
            assert "the server sends more than" in str(caught.value)
        assert time.monotonic() - began < 20 and Sent.num_bytes - before < 2**26
        assert not list(cache.rglob("*.partial")) and fetched(cache) == []
        if name == SHARD and kind not in ("drip", "slow_header", "silent"):  # these have not ended yet
            server.kind = ""
            np.testing.assert_array_equal(store.weights[13, 2], open_store(made).weights[13, 2])
