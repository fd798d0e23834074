"""Copies the pages of the repository, and what they link to, into the site's folder, under the same paths.

Links between pages work there as they do in the repository. Two kinds of targets become pages: a file of code, in a
block, and a folder, as its README or a list of its pages. A link to a notebook leads to the page that is made of it.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("C*.md", "docs/*.md", "docs/derivations/*.md", "docs/notebooks/*.md")
"""All pages but the README: CHANGELOG.md, CODE_OF_CONDUCT.md, CONTRIBUTING.md, and those of docs/."""
OVERVIEW = "overview.md"
"""Path of the README: `README.md` would be the home page, which the site has of its own."""
LINK = re.compile(r"(?<=\]\()([^)#\s]+)((?:#[^)\s]*)?)(?=\))")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
COPIED = {".css", ".json", ".png", ".svg"}
"""Endings of files that browsers show as they are."""


def copy_pages(out: Path) -> list[Path]:
    """Copy the pages and, one after the other, what they link to.

    Args:
        out: folder of the site's pages.

    Returns:
        The paths that were written, relative to `out`.
    """
    waiting = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    _write(out / OVERVIEW, with_links_to_pages((ROOT / "README.md").read_text(encoding="utf-8"), ROOT, waiting))
    written: set[Path] = set()
    while waiting:
        path = waiting.pop()
        target = page_of(path)
        if target in written:
            continue
        written.add(target)
        if path.suffix in COPIED:
            (out / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / target)
        else:
            _write(out / target, with_links_to_pages(text_of(path), (ROOT / target).parent, waiting))
    return sorted(written)


def page_of(path: Path) -> Path:
    """Path, relative to the root, of the page that shows a file or folder of the repository."""
    inside = Path(os.path.relpath(path, ROOT))
    if inside.parts[0] == "..":
        raise ValueError(f"{path} lies outside of the repository")
    if path.is_dir():
        return inside / "README.md"
    if is_notebook(path):
        return inside.with_suffix(".md")
    return inside if inside.suffix in {*COPIED, ".md"} else inside.with_name(f"{inside.name}.md")


def is_notebook(path: Path) -> bool:
    """Whether `notebook_pages` makes the page of a file."""
    return path.suffix == ".py" and path.parent == ROOT / "docs" / "notebooks"


def text_of(path: Path) -> str:
    """The Markdown of a page, of a folder without a README, or of a file of code."""
    if path.is_dir():
        readme = path / "README.md"
        return readme.read_text(encoding="utf-8") if readme.exists() else "\n".join(_listed(path))
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return f"# {path.name}\n\n```{path.suffix.removeprefix('.')}\n{text.rstrip()}\n```\n"


def with_links_to_pages(text: str, folder: Path, targets: list[Path]) -> str:
    """A page with its links to folders and to code changed into links to their pages.

    Args:
        text: Markdown.
        folder: where in the repository the page lies.
        targets: receives the linked files and folders of the repository.
    """

    def changed(match: re.Match[str]) -> str:
        if ":" in match[1]:
            return match[0]
        target = Path(os.path.normpath(folder / match[1]))
        if not target.exists():  # MkDocs reports it
            return match[0]
        if not is_notebook(target):
            targets.append(target)
        return os.path.relpath(ROOT / page_of(target), folder) + match[2]

    parts, end = [], 0
    for fence in FENCE.finditer(text):  # what stands in a block is no link
        parts += [LINK.sub(changed, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(changed, text[end:])])


def _listed(folder: Path) -> Iterator[str]:
    """A page that lists the files of a folder."""
    yield f"# {folder.relative_to(ROOT)}\n"
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in {".md", ".py", ".toml"} and "__pycache__" not in path.parts:
            yield f"- [{path.relative_to(folder)}]({path.relative_to(folder)})"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
