"""Wherever a store is named, a name of the Hub does: one meaning everywhere, pinned once, folders first."""

import json
import re
import shutil
from pathlib import Path

import pytest
from client import Client, Done
from server import Fault, Hub

from inrzoo.addresses import is_hub_name, located, short_name
from inrzoo.errors import InrzooError

COMMANDS = """
import sys
from inrzoo import cli
for words in {commands}:
    sys.argv = ["inrzoo", *words]
    try:
        cli.main()
        code = 0
    except SystemExit as end:
        code = end.code
    print("=", words[0], code)
"""
TRAIN = ["train", "classify", "ada/tiny@v1", "--out", "run", "--steps", "2", "--validate-every", "1",
         "--encoder", "flat_mlp", "--batch-size", "4"]  # fmt: skip


def run(client: Client, folder: Path, *commands: list[str], token: str | None = None) -> Done:
    """Run commands one after the other in one process."""
    done = client.python(COMMANDS.format(commands=[*map(list, commands)]), token=token, cwd=folder)
    assert done.code == 0, done.err
    return done


def codes(done: Done) -> list[str]:
    return re.findall(r"^= .*$", done.out, re.MULTILINE)


def test_every_command_takes_a_name_of_the_hub(pushed: Hub, client: Client, finished: Path, tmp_path: Path) -> None:
    commit = pushed.repos["ada/tiny"].tags["v1"]
    pushed.requests.clear()
    commands = [
        ["info", "ada/tiny", "--json"],
        ["diff", "ada/tiny", str(finished)],
        ["verify", "hf://datasets/ada/tiny"],
        ["preview", "ada/tiny", "--count", "1"],
        ["render", "ada/tiny@v1", "--signal", "0", "--out", "a.npy"],
        ["export", "ada/tiny", "--format", "safetensors", "--signal", "0", "--out", "a.safetensors"],
        ["site", "ada/tiny", "--out", "site"],
        TRAIN,
        ["evaluate", "run", "ada/tiny"],
        ["embed", f"ada/tiny@{commit}", "run", "--out", "rows.parquet"],
    ]
    done = run(client, tmp_path, *commands)
    assert codes(done) == [f"= {words[0]} 0" for words in commands], done
    assert json.loads(done.out.split("\n= info")[0])["complete"] is True
    assert {"tiny.png", "a.npy", "a.safetensors", "site", "run", "rows.parquet"} == {p.name for p in tmp_path.iterdir()}
    settings = json.loads((tmp_path / "site" / "gallery.json").read_text())
    assert settings["store"] == f"{pushed.endpoint}/datasets/ada/tiny/resolve/{commit}/tiny.zarr"
    # Each spelling is looked up once: the newest version, v1 as named, the URL, and the commit.
    lookups = [what for what in pushed.requests if what.endswith("/refs")]
    assert len(lookups) == 4 + 1, lookups  # and once for the address of browsers


def test_what_can_only_be_read_is_not_written(pushed: Hub, client: Client, tmp_path: Path) -> None:
    done = client.inrzoo("stats", "ada/tiny", cwd=tmp_path)
    assert done.code == 2 and "can only be read" in done.err and len(done.err.splitlines()) == 1


def test_a_folder_goes_before_the_hub(pushed: Hub, client: Client, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "ada" / "tiny")
    pushed.requests.clear()
    done = run(client, tmp_path, ["info", "ada/tiny", "--json"], ["verify", "ada/tiny"])
    assert codes(done) == ["= info 0", "= verify 0"] and not pushed.requests
    assert json.loads(done.out.split("\n= info")[0])["path"] == "ada/tiny"


@pytest.mark.parametrize("name, said", [
    ("ada/none", "no dataset ada/none on the Hub"),
    ("ada/tiny@v9", "ada/tiny has no such revision"),
])  # fmt: skip
def test_a_name_of_nothing_says_both_things_that_were_tried(
    pushed: Hub, client: Client, tmp_path: Path, name: str, said: str
) -> None:
    done = client.inrzoo("info", name, cwd=tmp_path)
    assert done.code == 2 and len(done.err.splitlines()) == 1, done
    assert f"no store at {name}: there is no such folder" in done.err and said in done.err
    assert "`inrzoo build DATASET --out" in done.err and "`inrzoo list --hub`" in done.err


def test_without_a_network_the_folder_is_named_too(hub: Hub, client: Client, tmp_path: Path) -> None:
    hub.faults = [Fault("", times=10**6, kind="lost")]
    done = client.inrzoo("info", "runs/digits", cwd=tmp_path)
    assert done.code == 2 and "no store at runs/digits: there is no such folder" in done.err
    assert "no connection to the Hub" in done.err


def test_names_of_files_are_not_asked_for_on_the_hub(hub: Hub, client: Client, tmp_path: Path) -> None:
    for name in ("runs/digits.zarr", "digits", "../x/y", "a/b/c"):
        assert f"no store at {name}; `inrzoo build" in client.inrzoo("info", name, cwd=tmp_path).err
    assert not hub.requests


def test_a_private_dataset_has_no_page(pushed: Hub, client: Client, tmp_path: Path) -> None:
    pushed.repos["ada/tiny"].private = True
    done = client.inrzoo("view", "ada/tiny", "--no-browser", cwd=tmp_path)
    assert done.code == 2 and "ada/tiny is private, and browsers cannot read it" in done.err


RUN = """
import functools
import inrzoo
from inrzoo import tasks
{before}
run = inrzoo.train("classify", "ada/tiny@main", out="run", steps=4, validate_every=1, encoder="flat_mlp", batch_size=4)
from inrzoo.checkpoint import read
for name in ("last", "best"):
    print(run.step, read(run.folder / f"{{name}}.safetensors").progress["store"])
"""
UPLOAD = """
from huggingface_hub import HfApi
HfApi().upload_file(path_or_fileobj=b"new", path_in_repo="notes", repo_id="ada/tiny", repo_type="dataset")
"""


@pytest.mark.slow
def test_a_run_records_its_commit_and_stays_with_it(pushed: Hub, client: Client, tmp_path: Path) -> None:
    commit = pushed.repos["ada/tiny"].refs["main"]
    record = {"named": "ada/tiny@main", "url": f"hf://datasets/ada/tiny@{commit}/tiny.zarr"}
    half = client.python(RUN.format(before="tasks.train = functools.partial(tasks.train, stop_after=2)"), cwd=tmp_path)
    assert half.out.splitlines() == [f"2 {record}"] * 2, half
    assert client.python(UPLOAD).code == 0 and pushed.repos["ada/tiny"].refs["main"] != commit
    pushed.requests.clear()
    whole = client.python(RUN.format(before=""), cwd=tmp_path)
    assert whole.out.splitlines()[0] == f"4 {record}", whole
    assert not [what for what in pushed.requests if "/refs" in what or "/revision/main" in what]


def test_what_may_be_a_name_of_the_hub() -> None:
    assert all(map(is_hub_name, ("ada/digits", "ada/digits@v1", "a-b/c.d_e@refs/pr/1", "ada/digits@0123abc")))
    local = (
        "digits",
        "/ada/digits",
        "ada/digits/",
        "./ada/digits",
        "a/b/c",
        "ada/digits.zarr",
        "ada/run.toml",
        "ä/b",
        "",
    )
    assert not any(map(is_hub_name, local))
    assert [located(name) for name in local] == [*local]
    pinned = f"hf://datasets/ada/digits@{'0' * 40}/digits.zarr"
    assert located(pinned) == pinned and short_name(pinned) == short_name("ada/digits@v1") == "digits"
    with pytest.raises(InrzooError, match=r"expected USER/NAME or hf://datasets/USER/NAME@REVISION"):
        located("hf://ada/digits")


DAMAGE = """
import inrzoo
folder = inrzoo.open_store("ada/tiny").cache.fetch_all()
shard = folder / "weights/c/0/0/0/0"
shard.write_bytes(shard.read_bytes()[::-1])
"""


def test_verify_fetches_again_what_is_damaged_in_the_cache(pushed: Hub, client: Client, tmp_path: Path) -> None:
    assert client.python(DAMAGE, cwd=tmp_path).code == 0
    done = client.inrzoo("verify", "ada/tiny", cwd=tmp_path)
    assert done.code == 0 and "verified" in done.out, done
