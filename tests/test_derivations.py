"""Every citation of docs/derivations/ leads to a heading, and no text cites a document that the repository has not."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("inrzoo", "benchmarks", "pipelines", "tests", "manifests", "docs")
SUFFIXES = {".py", ".md", ".toml", ".h", ".cpp"}
PAGES = Path("docs/derivations")

CITATION = re.compile(r"docs/derivations/(?P<page>\w+\.md)(?:#(?P<anchor>[\w-]*))?")
LINK = re.compile(r"\]\((?P<target>[^)\s#:]*)(?:#(?P<anchor>[\w-]+))?\)")
DOCUMENT = re.compile(r"\bdocs/\w+\.md\b")
ABSENT = re.compile(
    r"\bspecs\b|\b(?:storage|engine|modality|design|reader) notes\b"
    r"|\b(?:storage|engine|modalities|design|readers|style)\.md\b",
    re.IGNORECASE,
)
"""Notes that were read while the code was written, and that readers of the repository do not have."""


def sources(root: Path) -> Iterator[Path]:
    """Files whose text may cite something; this one, which names what must not be cited, is left out."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.name != Path(__file__).name and "node_modules" not in path.parts:
                yield path


@cache
def anchors(page: Path) -> list[str]:
    """Anchors of the headings of a page, made as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ +(.+?) *$", text, flags=re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def unresolved(page: Path, anchor: str | None) -> str | None:
    """Why a citation of a heading of a page leads nowhere; None if it leads there."""
    if not page.is_file():
        return f"there is no {page.name}"
    if anchor is not None and anchor not in anchors(page):
        return f"{page.name} has no heading #{anchor}"
    return None


def violations(root: Path) -> list[str]:
    """Every citation below `root` that leads nowhere, with its file and line."""
    problems = []
    for path in sources(root):
        text = path.read_text(encoding="utf-8")
        reasons = [(match, f"{match[0]!r} is not in the repository") for match in ABSENT.finditer(text)]
        reasons += [
            (match, f"there is no {match[0]}") for match in DOCUMENT.finditer(text) if not (root / match[0]).is_file()
        ]
        for match in CITATION.finditer(text):
            whole = path.suffix == ".md" or match["anchor"]
            why = unresolved(root / PAGES / match["page"], match["anchor"]) if whole else f"{match[0]} names no heading"
            reasons.append((match, why))
        if path.parent == root / PAGES:
            links = [(match, path.parent / (match["target"] or path.name)) for match in LINK.finditer(text)]
            reasons += [(match, unresolved(page, match["anchor"])) for match, page in links]
        where = path.relative_to(root)
        problems += [f"{where}:{1 + text.count(chr(10), 0, match.start())}: {why}" for match, why in reasons if why]
    return problems


def test_every_citation_leads_to_a_heading():
    assert violations(ROOT) == []


@pytest.mark.parametrize("page", sorted((ROOT / PAGES).glob("*.md")), ids=lambda page: page.stem)
def test_headings_of_a_page_differ(page):
    """GitHub numbers the anchors of equal headings, so that a citation would lead to the first alone."""
    assert len(set(anchors(page))) == len(anchors(page)) >= 2


def test_every_page_is_listed_and_cited_by_the_package():
    pages = {path.name for path in (ROOT / PAGES).glob("*.md")} - {"README.md"}
    listed = {match["target"] for match in LINK.finditer((ROOT / PAGES / "README.md").read_text(encoding="utf-8"))}
    assert pages <= listed
    package = [path.read_text(encoding="utf-8") for path in sources(ROOT) if path.is_relative_to(ROOT / "inrzoo")]
    assert pages == {match["page"] for text in package for match in CITATION.finditer(text)}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("docs/derivations/page.md#a-heading-of-its-own", None),
        ("docs/derivations/page.md#another", "page.md has no heading #another"),
        ("docs/derivations/other.md#a-heading-of-its-own", "there is no other.md"),
        ("docs/derivations/page.md", "docs/derivations/page.md names no heading"),
        ("as in docs/derivations/page.md#in-a-block", "page.md has no heading #in-a-block"),
        ("see docs/lost.md", "there is no docs/lost.md"),
        ("exact for every x (specs: d.1)", "'specs' is not in the repository"),
        ("Specs b.2: a bound", "'Specs' is not in the repository"),
        ("storage notes: 512 KiB", "'storage notes' is not in the repository"),
    ],
)
def test_a_citation_that_leads_nowhere_is_named(tmp_path, text, problem):
    (tmp_path / "inrzoo").mkdir()
    (tmp_path / "inrzoo" / "module.py").write_text(f'"""{text}."""\n', encoding="utf-8")
    (tmp_path / PAGES).mkdir(parents=True)
    page = "# Page\n\n## A heading, of its own\n\n```\n# In a block\n```\n\n[here](#page)\n"
    (tmp_path / PAGES / "page.md").write_text(page, encoding="utf-8")
    problems = [line.partition(": ")[2] for line in violations(tmp_path)]
    assert (problem in problems) if problem else not problems


@pytest.mark.parametrize("link", ["lost.md", "page.md#lost", "#lost", "../lost.md"])
def test_a_link_of_a_page_that_leads_nowhere_is_named(tmp_path, link):
    (tmp_path / PAGES).mkdir(parents=True)
    (tmp_path / PAGES / "page.md").write_text(f"# Page\n\n[there]({link}), [here](page.md#page)\n", encoding="utf-8")
    assert len(violations(tmp_path)) == 1
