"""The description for machines is Croissant, its checksums are those of the files, and rows come out by it."""

import hashlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from client import Client
from server import Hub

from inrzoo.hub.croissant import CONTEXT
from inrzoo.interchange import parquet
from inrzoo.store import open_store, row

# In a process of its own, because the library changes what libraries warn about.
PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
import mlcroissant, numpy
from mlcroissant._src.core.rdf import make_context

described, folder, out = sys.argv[1:]
dataset = mlcroissant.Dataset(jsonld=described, mapping={"repository": folder})
issues = dataset.metadata.ctx.issues
columns = {}
for name in ("train", "validation", "test"):
    for row in dataset.records(name):
        for key, value in row.items():
            columns.setdefault(key.split("/")[1], []).append(value)
numpy.savez(out, **{key: numpy.array(value) for key, value in columns.items()})
classes = [row["classes/label/name"] for row in dataset.records("classes/label")]
print(json.dumps([sorted(issues.errors), sorted(issues.warnings), make_context(), classes]))
"""


@pytest.fixture
def described(pushed: Hub) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(pushed.tree("ada/tiny", "v1")["croissant.json"])
    return content


def test_every_file_that_is_named_has_its_checksum(pushed: Hub, described: dict[str, Any]) -> None:
    tree = pushed.tree("ada/tiny", "v1")
    objects = [file for file in described["distribution"] if file["@type"] == "cr:FileObject"][1:]
    assert {file["@id"] for file in objects} == {name for name in tree if name.startswith("data/")} | {
        "tiny.zarr/zarr.json"
    }
    for file in objects:
        content = tree[file["@id"]]
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["contentUrl"] == f"{pushed.endpoint}/datasets/ada/tiny/resolve/v1/{file['@id']}"
        assert file["contentSize"] == f"{len(content)} B"


def test_the_fields_are_the_columns(described: dict[str, Any], finished: Path) -> None:
    columns = row.features(parquet.columns(open_store(finished), images=True))
    for records in described["recordSet"][-3:]:
        fields = {field["source"]["extract"]["column"]: field for field in records["field"]}
        assert list(fields) == list(columns)
        assert {name for name, field in fields.items() if field.get("repeated")} == {"weights"}
        assert fields["psnr"]["dataType"] == fields["weights"]["dataType"] == "sc:Float"
    assert described["version"] == "1.0.0" and described["license"] == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert "@misc{ada_tiny_v1," in described["citeAs"]


@pytest.mark.skipif(find_spec("mlcroissant") is None, reason="mlcroissant is not installed")
def test_mlcroissant_finds_no_error_and_reads_the_rows(pushed: Hub, finished: Path, tmp_path: Path) -> None:
    for name, content in pushed.tree("ada/tiny", "v1").items():
        (tmp_path / "ada" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ada" / name).write_bytes(content)
    words = [tmp_path / "ada" / "croissant.json", tmp_path / "ada", tmp_path / "rows.npz"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, words)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    errors, warnings, context, classes = json.loads(done.stdout.splitlines()[-1])
    assert errors == [] and all("datePublished" in warning for warning in warnings), warnings
    assert context == CONTEXT and "not standard" not in done.stderr
    store = open_store(finished)
    assert classes == list(store.info.label_names["digit"])
    with np.load(tmp_path / "rows.npz", allow_pickle=False) as rows:
        assert len(rows["signal"]) == store.status.size
        expected = store.weights[:, :, 0][rows["signal"], rows["seed"]]
        np.testing.assert_array_equal(rows["weights"].astype(np.float32), expected)
        np.testing.assert_array_equal(rows["label"], store.labels["digit"][rows["signal"]])


def test_a_second_push_to_a_branch_sends_nothing(hub: Hub, client: Client, finished: Path) -> None:
    words = ("push", finished, "ada/tiny", "--revision", "trial", "--json")
    assert json.loads(client.inrzoo(*words).out)["changed"] is True
    assert "/resolve/trial/" in hub.tree("ada/tiny", "trial")["croissant.json"].decode()
    assert json.loads(client.inrzoo(*words).out)["changed"] is False
