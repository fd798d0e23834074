"""Titles, names and settings of a store are anybody's words: on a card they are words and nothing else."""

import ast
import copy
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from inrzoo.hub.card import card
from inrzoo.hub.markdown import one_line
from inrzoo.store import Store, open_store
from inrzoo.store.recorded import ImportInfo, RecordedManifest

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
FRAGMENTS = (
    "<script>alert(1)</script>", "</td></table>", "<img src=x onerror=y>", "<!--", "[a](http://e.example)",
    "[b]: x", "![i](http://e.example/p.png)", "<http://e.example>", "\n# Heading\n", "\nHeading\n====\n",
    "\n---\n", "\n- item\n", "\n> quote\n", "\n    code\n", "```", "\n```\n", "\n````\n", "~~~\n", "`", "``",
    "|", "\\", "\\|", "\\\\|", "*b*", "_i_", "~~s~~", "$x$", "&lt;", "&#60;", "http://e.example/a",
    "WWW.e.example", "a@e.example", "mailto:a@e.example", '"', "'", '"""', '"), exec("1"), print("',
    "') or exec('1') #", "\r", "\t", "\x1b[2J", "\u202e", "\u2028", "\ud800", "\x00", "ω", "{sha256}", "{0}",
    "%s", "; rm -rf x", "$(x)", "a", " ",
)  # fmt: skip
words = st.one_of(st.text(max_size=20), st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=6).map("".join))
tables = st.dictionaries(words, words, max_size=2)
LITERAL_LINKS = (
    re.compile(r"(?i)(https?://|www\.)[-.\w]+"),
    re.compile(r"[-.\w+]+@[-\w]+(\.[-\w]+)+"),
)
"""Text that GitHub's flavour turns into a link anywhere (mdast-util-gfm-autolink-literal)."""
BLOCKS = {"heading", "paragraph", "table", "thead", "tbody", "tr", "th", "td", "fence", "inline"}
INLINE = {"text", "text_special", "softbreak", "code_inline", "image"}


def body(content: str) -> list[Token]:
    return PARSER.parse(content.split("\n---\n", 1)[1])


def blocks(tokens: list[Token], language: str) -> list[str]:
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


def outlines(content: str) -> list[str]:
    """The Python of a card with every string left out."""

    class Blank(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.Constant:
            return ast.Constant("" if isinstance(node.value, str) else node.value)

    return [ast.dump(Blank().visit(ast.parse(block))) for block in blocks(body(content), "python")]


def hostile(store: Store, draw: Any) -> Store:
    """The store with other people's words wherever a store may hold some."""
    changed = copy.copy(store)
    manifest = copy.deepcopy(store.info.manifest.tables)
    for key in ("title", "licence", "citation", "bibtex", "preset"):
        manifest[key] = draw(words)
    manifest["name"] = draw(words.filter(bool))
    manifest["source"] = {**draw(tables), "name": draw(words)}
    manifest["fit"] |= draw(tables)
    manifest["init"] = {"mode": draw(st.one_of(words, st.sampled_from(("file", "hypernet")))), "sha256": draw(words)}
    changed.info = replace(
        store.info,
        manifest=RecordedManifest.from_tables(manifest),
        **{key: draw(words) for key in ("dataset", "fingerprint", "signals_sha256", "version")},
        **{key: draw(tables) for key in ("environment", "source_checksums")},
        split_names=tuple(draw(words) + number for number in "123"),
        imported=ImportInfo(num_files=3, convention=draw(words), sha256=draw(words)) if draw(st.booleans()) else None,
    )
    return changed


@pytest.fixture(scope="module")
def harmless(finished: Path) -> str:
    return card(open_store(finished), "ada/tiny", 1, True)


@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_words_of_a_store_are_words_on_its_card(store: Store, harmless: str, data: Any) -> None:
    changed = hostile(store, data.draw)
    content = card(changed, "ada/tiny", 1, True)
    content.encode()
    tokens = body(content)
    assert {token.type.removesuffix("_open").removesuffix("_close") for token in tokens} <= BLOCKS
    inside = [child for token in tokens for child in token.children or []]
    assert {child.type for child in inside} <= INLINE
    assert [child.attrs["src"] for child in inside if child.type == "image"] == ["preview.png"]
    headings = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings[1:] == [
        "Uses", "Limitations", "Load it", "What was fitted, and how", "Conventions", "Quality",
        "Columns of the Parquet files", "Checksums", "Build it again", "Source and licence", "How to cite",
    ]  # fmt: skip
    for token in tokens:
        shown = "".join(child.content for child in token.children or [] if child.type in ("text", "text_special"))
        assert not any(pattern.search(shown) for pattern in LITERAL_LINKS), shown
    assert outlines(content) == outlines(harmless)
    header = yaml.safe_load(content.removeprefix("---\n").split("\n---\n")[0])
    assert header["inrzoo"]["dataset"] == one_line(changed.info.dataset)
    assert header.keys() <= {"license", "license_name", "pretty_name", "size_categories", "task_categories", "tags",
                             "configs", "inrzoo"}  # fmt: skip
    for command in blocks(tokens, "bash"):
        assert shlex.split(command)[:2] in (["inrzoo", "pull"], ["inrzoo", "build"])
    for manifest in blocks(tokens, "toml"):
        written = {key: value for key, value in store.info.manifest.inr.items() if value is not None}  # as in TOML
        assert tomllib.loads(manifest)["inr"] == written
    assert list(widths(tokens)) == list(widths(body(harmless)))


def widths(tokens: list[Token]) -> Iterator[int]:
    """Columns of each table, the same in every row."""
    rows: list[int] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append(0)
        rows[-1:] = [row + (token.type in ("td_open", "th_open")) for row in rows[-1:]]
        if token.type == "table_close":
            assert len({*rows}) == 1
            yield rows[0]
            rows = []


@pytest.mark.parametrize("name", ["a b", 'x"y', "x\\y", "x'y\"z", "ω\u202e"])
def test_a_split_of_any_name_is_a_string_in_the_code(store: Store, name: str) -> None:
    store.info = replace(store.info, split_names=(name, *store.info.split_names[1:]))
    code = blocks(body(card(store, "ada/tiny", 1, True)), "python")[1]
    strings = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    assert name in strings
