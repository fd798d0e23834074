"""Build the documentation site, with the gallery of the digits as a live example.

Command:  python docs/site/build_site.py [--without-notebooks]
Needs:    pip install 'inrzoo[docs]'; no network.
Duration: about two minutes on two cores; half of it the notebooks, whose outputs stand on their pages.

Writes out/docs/site: open index.html, or serve the folder (the gallery needs a server). Any warning fails the build: a
link or a heading that does not exist, a page that the navigation leaves out, an object that is not found. So does an
address of another server from which a page would load something.
"""

import os
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from command_pages import write_commands
from notebook_pages import notebooks, write_notebook
from reference_pages import write_reference
from repository_pages import copy_pages

import inrzoo
from inrzoo.viewer import write_site

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OUT = ROOT / "out" / "docs"
STATIC = ("style.css", "favicon.svg")
STRICT_BUILD = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file"]
"""The command before the path of the settings; with `--quiet` warnings would not be counted."""
LOADED = re.compile(r"<(?:script|link|img|iframe|source|video|audio)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//", re.I)
"""A tag by which a page loads something from another server."""
NO_NOTEBOOKS = "*The site was built without running this notebook.*"


def main(with_notebooks: bool) -> None:
    """Write the pages, then the site."""
    pages, site = OUT / "pages", OUT / "site"
    for folder in (pages, site):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "pages", pages)
    (pages / "docs" / "site").mkdir(parents=True)
    for name in STATIC:
        shutil.copyfile(HERE / name, pages / "docs" / "site" / name)
    copy_pages(pages)
    write_reference(pages / "reference")
    write_commands(pages / "reference" / "commands.md")
    write_tutorials(pages / "docs" / "notebooks", with_notebooks)
    write_gallery(pages / "gallery")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    if subprocess.run([*STRICT_BUILD, HERE / "mkdocs.yml"], cwd=ROOT, env=environment).returncode:
        sys.exit("MkDocs warned, see above")
    if found := list(foreign_addresses(site)):
        sys.exit("pages would load something from another server:\n" + "\n".join(found))
    print(f"{site}: {sum(1 for _ in site.rglob('*.html'))} pages; open {site / 'index.html'}")


def write_tutorials(out: Path, run: bool) -> None:
    """Write a page of each notebook, one after the other in one folder."""
    with TemporaryDirectory() as folder:
        for path in notebooks():
            if run:
                write_notebook(path, out, Path(folder))
            else:
                title = path.read_text(encoding="utf-8").split("# # ", 1)[1].split("\n", 1)[0]
                (out / f"{path.stem}.md").write_text(f"# {title}\n\n{NO_NOTEBOOKS}\n", encoding="utf-8")


def write_gallery(out: Path) -> None:
    """Build a small store of digits, and write the page that shows it."""
    with TemporaryDirectory() as folder:
        store = Path(folder) / "digits.zarr"
        inrzoo.build("digits", limit=200, seeds=2, out=store)
        write_site(inrzoo.open_store(store), out)


def foreign_addresses(site: Path) -> Iterator[str]:
    """Each place where a page or a style sheet would load something from another server."""
    for path in sorted(site.rglob("*.html")):
        for match in LOADED.finditer(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(site)}: {match[0]}"
    for path in sorted(site.rglob("*.css")):
        for match in re.finditer(r"url\([\"']?(?:https?:)?//[^)]*", path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(site)}: {match[0]}"


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--without-notebooks", action="store_true", help="leave the outputs of notebooks out: faster")
    main(with_notebooks=not parser.parse_args().without_notebooks)
