"""The attributes of a store are read into one dataclass, checked once, and written by it."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tiny_store import set_attributes

from inrzoo import stats
from inrzoo.errors import InrzooError
from inrzoo.store import StoreInfo, open_store
from inrzoo.store.info import OPTIONAL, changed_attributes
from inrzoo.store.root import ROOT_DIGEST

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.zip"))
REQUIRED = (
    "dataset", "manifest", "fingerprint", "signals_sha256", "source_checksums", "inr", "layout", "grid",
    "label_columns", "label_names", "split_names", "status_names", "environment", "inrzoo", "snapshots", "partition",
    "published_seeds", "checksums", "complete",
)  # fmt: skip


@pytest.fixture
def attributes(finished: Path) -> dict[str, Any]:
    """Return the attributes in the root of a finished store."""
    recorded: dict[str, Any] = json.loads((finished / "zarr.json").read_text())["attributes"]
    return recorded


@pytest.mark.parametrize("archive", GOLDEN, ids=lambda archive: archive.stem)
def test_attributes_are_written_as_they_were_read(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        name = next(name for name in opened.namelist() if name.count("/") == 1 and name.endswith("zarr.json"))
        recorded = json.loads(opened.read(name))["attributes"]
    recorded.pop(ROOT_DIGEST, None)
    info = StoreInfo.from_attributes(recorded, name)
    if info.imported is not None:
        recorded["imported"]["said_by"] = {}  # that version did not record it
    assert json.loads(json.dumps(info.to_attributes())) == recorded
    assert StoreInfo.from_attributes(info.to_attributes(), name) == info


def test_a_store_of_today_is_written_as_it_was_read(attributes: dict[str, Any]) -> None:
    attributes.pop(ROOT_DIGEST)
    assert {*attributes} == {*REQUIRED, "format", "formula"}
    assert json.loads(json.dumps(StoreInfo.from_attributes(attributes, "a store").to_attributes())) == attributes


@pytest.mark.parametrize("key", REQUIRED)
def test_an_attribute_that_is_missing_is_named(attributes: dict[str, Any], key: str) -> None:
    del attributes[key]
    with pytest.raises(InrzooError, match=f"^a.zarr lacks the attribute '{key}'"):
        StoreInfo.from_attributes(attributes, "a.zarr")


@pytest.mark.parametrize("value", [None, 7, {"x": 7}, [None]], ids=str)
@pytest.mark.parametrize("key", [*REQUIRED, *OPTIONAL])
def test_an_attribute_of_another_type_is_refused_in_one_line(attributes: dict[str, Any], key: str, value: Any) -> None:
    if (key, value) in (("inr", {"x": 7}), ("partial", {"x": 7})):
        pytest.skip("a table with any keys")
    with pytest.raises(InrzooError, match=r"^a.zarr is damaged \(.*see inrzoo verify") as caught:
        StoreInfo.from_attributes({**attributes, key: value}, "a.zarr")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "key, value",
    [
        ("grid", []),
        ("grid", [0, 8]),
        ("grid", [2**16, 2**16]),
        ("snapshots", [-1]),
        ("partition", {"chunk_rows": 4, "block_rows": 6, "shard_rows": 12}),
        ("partition", {"chunk_rows": 4, "block_rows": 8}),
        ("split_names", ["train", "train"]),
        ("label_columns", ["digit", "absent"]),
        ("label_names", {"../digit": ["0"]}),
        ("status_names", ["ok", "pending", "early stop", "diverged"]),
        ("layout", [{"name": "weight", "shape": [0, 2], "axes": ["out", "in"]}]),
        ("layout", [{"name": "weight", "shape": [2], "axes": ["out", "in"]}]),
        ("checksums", {"../outside": "0" * 64}),
        ("checksums", {"weights/c/0/0/0/0": "short"}),
        ("repairing", {"first": [0]}),
        ("fitter", {"sha256": "0" * 64}),
        ("formula", {"latex": "", "layers": [{"weight": "weight_9", "bias": "bias_0"}]}),
    ],
)
def test_an_impossible_value_is_refused_in_one_line(attributes: dict[str, Any], key: str, value: Any) -> None:
    with pytest.raises(InrzooError, match=r"^a.zarr is damaged \(") as caught:
        StoreInfo.from_attributes({**attributes, key: value}, "a.zarr")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [{"seeds": 0}, {"coords": {"spacing": "row_col"}}, {"values": {"range": [1.0, -1.0]}}, {"title": 3}],
    ids=str,
)
def test_an_impossible_manifest_is_refused_in_one_line(attributes: dict[str, Any], changes: dict[str, Any]) -> None:
    with pytest.raises(InrzooError, match=rf"^a.zarr is damaged \(manifest of the store: .*{next(iter(changes))}"):
        StoreInfo.from_attributes({**attributes, "manifest": {**attributes["manifest"], **changes}}, "a.zarr")


def test_keys_of_a_later_version_are_left_alone(finished: Path, tmp_path: Path) -> None:
    """A store with attributes, manifest tables and settings that this version does not know opens; they stay in it."""
    path = Path(shutil.copytree(finished, tmp_path / "later.zarr"))
    tables = {**open_store(path).info.manifest.tables, "observation": {"name": "rays"}}
    tables["fit"] = {**tables["fit"], "momentum": 0.1}
    set_attributes(path, manifest=tables, scale={"per": "signal"}, complete=False)
    store = open_store(path)
    assert store.weights[0].shape == (2, 1, store.layout.num_params) and store.info.manifest.seeds == 2
    with pytest.raises(InrzooError, match=r"unknown key 'fit\.momentum'"):
        store.settings  # noqa: B018
    stats.run(store)
    recorded = json.loads((path / "zarr.json").read_text())["attributes"]
    assert recorded["scale"] == {"per": "signal"} and recorded["manifest"] == tables and recorded["complete"]


def test_a_field_that_does_not_exist_is_not_written(attributes: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="checksum"):
        changed_attributes(attributes, checksum={})


def test_a_change_touches_nothing_else(attributes: dict[str, Any]) -> None:
    changed = changed_attributes(attributes, partial=("test",), complete=False)
    assert changed == {**attributes, "partial": {"splits": ["test"]}, "complete": False}
    assert changed_attributes(changed, partial=(), complete=True) == attributes
