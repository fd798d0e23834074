"""A token is a key to somebody's account: it is in no line that is printed and in no file that is written."""

import os
import shutil
from pathlib import Path

import pytest
from client import Client, Done
from server import Fault, Hub

SECRETS = {
    "HF_TOKEN": "hf_ada",  # what the Hub of the tests knows; also the sentinel, for it stands nowhere else
    "HUGGING_FACE_HUB_TOKEN": "hf_SENTINELoldname",
    "AWS_ACCESS_KEY_ID": "AKIASENTINELKEY",
    "AWS_SECRET_ACCESS_KEY": "SENTINELsecret/key",
    "AWS_SESSION_TOKEN": "SENTINELsession",
    "GOOGLE_APPLICATION_CREDENTIALS": "/SENTINEL/google.json",
}
WITH_SECRETS = """
import os, sys, traceback
os.environ.update({secrets!r})
os.environ["HOME"] = {home!r}
from inrzoo import cli
sys.argv = ["inrzoo", *{words!r}]
cli.main()
"""


def leaks(text: bytes) -> list[str]:
    """The variables whose value stands in a text."""
    return [name for name, value in SECRETS.items() if value.encode() in text]


def run(client: Client, home: Path, *words: object) -> Done:
    return client.python(WITH_SECRETS.format(secrets=SECRETS, home=str(home), words=[*map(str, words)]), cwd=home)


def no_leaks(done: Done, home: Path, repos: dict[str, bytes] | None = None) -> None:
    assert not leaks(done.out.encode() + done.err.encode()), done
    for path in home.rglob("*"):
        if path.is_file():
            assert not leaks(path.read_bytes()), path
        assert not leaks(str(path).encode())
    for name, content in (repos or {}).items():
        assert not leaks(content), name


@pytest.fixture
def home(tmp_path: Path, finished: Path) -> Path:
    """A home with a store in it; what a command writes lies below."""
    shutil.copytree(finished, tmp_path / "tiny.zarr")
    return tmp_path


def test_the_search_finds_a_leak() -> None:
    assert leaks(b"Authorization: Bearer hf_ada") == ["HF_TOKEN"]


def test_what_goes_well(hub: Hub, client: Client, home: Path) -> None:
    """Build, verify, export, push, pull, list: nothing printed, stored or published holds a secret."""
    words = ["build", "digits", "--limit", 2, "--steps", 2, "--in-process", "--out", home / "built.zarr"]
    for command in (
        words,
        ["verify", home / "built.zarr", "--json"],
        ["info", home / "built.zarr"],
        ["export", home / "tiny.zarr", "--format", "parquet", "--out", home / "rows"],
        ["push", home / "tiny.zarr", "ada/tiny", "--json"],
        ["pull", "ada/tiny", "--out", home / "pulled.zarr"],
        ["list", "--hub", "--json"],
    ):
        done = run(client, home, *command)
        assert done.code == 0, (command, done)
        no_leaks(done, home)
    assert (home / "built.build.json").exists()
    no_leaks(done, home, hub.tree("ada/tiny"))


@pytest.mark.parametrize("kind", ["401", "403", "404", "500", "lost", "cut"])
def test_what_goes_wrong(hub: Hub, client: Client, home: Path, kind: str) -> None:
    """Errors of the Hub, of the network, and of the user."""
    fault = Fault("", times=10**6, status=int(kind)) if kind.isdigit() else Fault("", times=10**6, kind=kind)
    hub.faults = [fault]
    for command in (["push", home / "tiny.zarr", "ada/tiny"], ["pull", "ada/tiny"], ["list", "--hub"]):
        code = "import time; time.sleep = lambda seconds: None\n" + WITH_SECRETS.format(
            secrets=SECRETS, home=str(home), words=[*map(str, command)]
        )
        done = client.python(code, cwd=home)
        assert done.code == 2, (command, done)
        no_leaks(done, home)


@pytest.mark.slow
def test_a_store_out_of_reach_and_our_own_mistakes(hub: Hub, client: Client, home: Path) -> None:
    """A URL that needs keys, and a traceback, which shows where it was and not what was known there."""
    for code, wanted in (
        ("import inrzoo; inrzoo.open_store('s3://nobody/a.zarr', retries=0)", 1),
        ("import inrzoo.hub.push as p, sys\nraise RuntimeError('a mistake of ours')", 1),
        (f"import inrzoo; inrzoo.load({str(home / 'none.zarr')!r})", 1),
    ):
        done = client.python(
            f"import os\nos.environ.update({SECRETS!r}, AWS_ENDPOINT_URL='http://127.0.0.1:1')\n{code}", cwd=home
        )
        assert done.code == wanted and "Traceback" in done.err
        no_leaks(done, home)


def test_secrets_are_read_by_those_who_need_them_alone() -> None:
    """Nothing in the package reads these variables itself: huggingface_hub and the object stores do."""
    import inrzoo

    package = Path(inrzoo.__file__).parent
    readers = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for word in ('HF_TOKEN"]', "AWS_SECRET", "AWS_ACCESS", "SESSION_TOKEN", "GOOGLE_APPLICATION")
        if word in path.read_text()
    ]
    assert readers == [] and os.environ.get("HF_TOKEN") != SECRETS["HF_TOKEN"]
