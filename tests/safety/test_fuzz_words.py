"""Random words that are typed: words of the command line, and addresses of stores."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cases import Sandbox, fuzz
from hostile import NUMBERS, words
from hypothesis import strategies as st

import inrzoo as package
from inrzoo import cli
from inrzoo.hub.remote import Address
from inrzoo.store import open_store
from inrzoo.store.store_cache import StoreCache

COMMANDS = {
    name: [option for parameter in command.params for option in parameter.opts if option.startswith("--")]
    for name, command in cli.cli.commands.items()
    if name not in ("push", "pull", "train", "bench")
}
"""Without those that need a network, train for long or measure for long; the first two are fuzzed with a Hub."""
PLACES = ("tiny.zarr", "nothing.zarr", "..", ".", "/", "/dev/null", "", "file.txt", "digits", "omniglot", "it.toml")
VALUES = st.one_of(
    words.filter(lambda word: "\0" not in word),
    st.sampled_from([str(number) for number in NUMBERS]),
    st.sampled_from(PLACES),
    st.sampled_from(
        (
            "inr.hidden_layers=9999999",
            "inr.hidden_features=99999999999",
            "fit.steps=1e9",
            "a.b.c.d=[[[[1]]]]",
            "source.split_seed=-1",
            "name=../../x",
            "fit.views=[1,2]",
            "x=",
            "=x",
            "grid=0",
            "8x8",
            "0:5",
            "::",
            "1:2:3:4",
        )
    ),
)


@pytest.fixture
def target(whole_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("socket.socket.connect", _no_network)
    monkeypatch.setattr("inrzoo.builder.estimate.SECONDS", 0.01)
    return whole_store


def _no_network(*_: Any) -> None:
    raise ConnectionRefusedError("tests have no network")


HONEST = (
    ["build", "digits", "--limit", "2", "--steps", "2"],
    ["build", "it.toml", "--limit", "2"],
    ["info", "tiny.zarr"],
    ["diff", "tiny.zarr", "tiny.zarr"],
    ["stats", "tiny.zarr"],
    ["preview", "tiny.zarr", "--count", "2"],
    ["render", "tiny.zarr", "--signal", "1", "--out", "a.png"],
    ["verify", "tiny.zarr"],
    ["list"],
    ["export", "tiny.zarr", "--format", "parquet", "--out", "rows"],
    ["import", "dicts", "--out", "b.zarr", "--grid", "8x8"],
    ["export", "tiny.zarr", "--format", "safetensors", "--out", "a.safetensors", "--signal", "1"],
    ["evaluate", "run", "tiny.zarr"],
    ["embed", "tiny.zarr", "run", "--out", "a.parquet"],
    ["train", "classify", "tiny.zarr"],
)


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """A good command with words exchanged, left out or added; options of its own with values of anyone's."""
    line = list(draw(st.sampled_from(HONEST)))
    for _ in range(draw(st.integers(0, 2))):
        place, how = (
            draw(st.integers(0, len(line) - 1)),
            draw(st.sampled_from(("exchange", "exchange", "remove", "add"))),
        )
        line[place : place + (how != "add")] = [] if how == "remove" and len(line) > 1 else [draw(VALUES)]
    options = COMMANDS.get(line[0]) or ["--help", "--json"]
    for _ in range(draw(st.integers(0, 2))):
        line += [draw(st.sampled_from(options)), *([draw(VALUES)] if draw(st.integers(0, 3)) else [])]
    # A build is planned, training refuses its device: neither may take the time it was asked for.
    return [*line, *{"build": ["--engine", "reference", "--plan"], "train": ["--device", "nowhere"]}.get(line[0], [])]


@fuzz(lines(), slow=600)
def test_command_lines(case: list[str], sandbox: Sandbox, target: Path) -> None:
    shutil.copytree(target, sandbox.made / "tiny.zarr")
    shutil.copytree(target.parent / "dicts", sandbox.made / "dicts")
    (sandbox.made / "file.txt").write_text("no store")
    (sandbox.made / "it.toml").write_text('[source]\nname = "digits"\n[inr]\nname = "siren"\n')
    sandbox.run(*case)


@fuzz(
    st.one_of(
        words,
        st.tuples(
            st.sampled_from(
                (
                    "hf://",
                    "hf://datasets/",
                    "file://",
                    "memory://",
                    "s3://",
                    "gs://",
                    "x://",
                    "local://",
                    "http://127.0.0.1:1/",
                    "simplecache::file://",
                    "zip://a::",
                    "github://",
                    "filecache::",
                    "reference://",
                    "python://",
                    "dask://",
                    "",
                )
            ),
            words,
        ).map("".join),
    ),
    slow=1000,
)
def test_addresses(case: str, sandbox: Sandbox, target: Path) -> None:
    sandbox.call(lambda: Address.parse(case))
    if "://" in case:
        sandbox.call(lambda: open_store(case, partial(StoreCache, retries=0)), writes=(sandbox.home,))
    sandbox.call(lambda: package.load(case, **({"retries": 0} if "://" in case else {})), writes=(sandbox.home,))
