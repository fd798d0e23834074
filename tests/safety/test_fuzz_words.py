"""What is typed: words of the command line, and addresses of stores."""

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
    st.sampled_from(("inr.hidden_layers=9999999", "inr.hidden_features=99999999999", "fit.steps=1e9", "a.b.c.d=[[[[1]]]]",
                     "source.split_seed=-1", "name=../../x", "fit.views=[1,2]", "x=", "=x", "grid=0", "8x8", "0:5", "::", "1:2:3:4")),
)  # fmt: skip


@pytest.fixture
def target(whole_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("socket.socket.connect", _no_network)
    monkeypatch.setattr("inrzoo.build.estimate.SECONDS", 0.01)
    return whole_store


def _no_network(*_: Any) -> None:
    raise ConnectionRefusedError("tests have no network")


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """A command with options of its own and values of anyone's."""
    name = draw(st.one_of(st.sampled_from(sorted(COMMANDS)), words))
    chosen = draw(
        st.lists(st.tuples(st.sampled_from(COMMANDS.get(name) or ["--help"]), VALUES, st.booleans()), max_size=4)
    )
    arguments = draw(st.lists(st.one_of(st.sampled_from(PLACES), VALUES), max_size=3))
    given = [word for option, value, alone in chosen for word in ((option,) if alone else (option, value))]
    parts = [arguments, given]
    return [name, *parts[(turn := draw(st.integers(0, 1)))], *parts[1 - turn]]


@fuzz(lines(), slow=2000)
def test_command_lines(case: list[str], sandbox: Sandbox, target: Path) -> None:
    (sandbox.made / "tiny.zarr").symlink_to(target)
    (sandbox.made / "file.txt").write_text("no store")
    (sandbox.made / "it.toml").write_text('[source]\nname = "digits"\n[inr]\nname = "siren"\n')
    # A build is planned, not run; a plan that is right may take as long as it likes to measure, not here.
    extra = ["--plan"] if case[0] == "build" else []
    sandbox.run(*case, *extra, writes=(target, sandbox.home / "made"))


@fuzz(st.one_of(words, st.tuples(st.sampled_from(("hf://", "hf://datasets/", "file://", "memory://", "s3://", "gs://", "x://", "local://",
      "http://127.0.0.1:1/", "simplecache::file://", "zip://a::", "github://", "filecache::", "reference://", "python://", "dask://", "")), words).map("".join)), slow=1000)  # fmt: skip
def test_addresses(case: str, sandbox: Sandbox, target: Path) -> None:
    sandbox.call(lambda: Address.parse(case))
    if "://" in case:
        sandbox.call(lambda: open_store(case, retries=0), writes=(sandbox.home,))
    sandbox.call(lambda: package.load(case, **({"retries": 0} if "://" in case else {})), writes=(sandbox.home,))
