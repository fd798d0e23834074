"""The call that did the work logs how long a build took."""

import json

from tiny_store import SEEDS, SMALL, small

from inrzoo.builder import build


def test_a_call_that_finds_nothing_to_fit_leaves_the_log(tmp_path):
    store, log = tmp_path / "digits.zarr", tmp_path / "digits.build.json"
    build(small(seeds=1), store, in_process=True, quiet=True)
    first = log.read_bytes()
    assert json.loads(first)["fitted"] == SMALL["limit"]
    assert build(small(seeds=1), store, in_process=True, quiet=True).fitted == 0
    assert log.read_bytes() == first
    build(small(), store, in_process=True, quiet=True)
    assert json.loads(log.read_bytes())["fitted"] == SMALL["limit"] * (SEEDS - 1)
    log.unlink()
    build(small(), store, in_process=True, quiet=True)
    assert json.loads(log.read_bytes())["fitted"] == 0
