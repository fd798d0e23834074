"""The documentation site names everything, its links lead somewhere, and it loads nothing from elsewhere."""

import dataclasses
import os
import re
import subprocess
from pathlib import Path

import click
import pytest
import yaml
from build_site import STRICT_BUILD, foreign_addresses
from command_pages import write_commands
from docstring_style import in_google_style
from formulas import with_mathml
from reference_pages import TABLES, write_reference
from repository_pages import copy_pages, with_links_to_pages

from inrzoo import manifest, reference, registry
from inrzoo.cli import cli

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "docs" / "site" / "mkdocs.yml"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every page but those of notebooks and the gallery."""
    out = tmp_path_factory.mktemp("pages")
    copy_pages(out)
    write_reference(out / "reference")
    write_commands(out / "reference" / "commands.md")
    return out


def listed(entries: list[object]) -> list[str]:
    """The pages of a navigation, at any depth."""
    flat: list[str] = []
    for entry in entries:
        [value] = entry.values() if isinstance(entry, dict) else [entry]
        flat += listed(value) if isinstance(value, list) else [str(value)]
    return flat


def test_every_page_and_notebook_is_in_the_navigation() -> None:
    text = re.sub(r"^hooks:.*$", "", SETTINGS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    navigation = listed(yaml.safe_load(text)["nav"])
    written = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "derivations").glob("*.md")]
    written += [path.with_suffix(".md") for path in (ROOT / "docs" / "notebooks").glob("*.py")]
    assert {str(path.relative_to(ROOT)) for path in written} <= {*navigation}
    assert len(navigation) == len({*navigation})
    for kind in reference.COMPONENTS.values():
        assert f"reference/{kind}.md" in navigation


def test_every_component_stands_in_the_reference_with_every_field(pages: Path) -> None:
    for kind, folder in reference.COMPONENTS.items():
        sections = (pages / "reference" / f"{folder}.md").read_text(encoding="utf-8").split("\n## ")[1:]
        assert [section.split("`")[1] for section in sections] == registry.names(folder)
        for name, section in zip(registry.names(folder), sections, strict=True):
            for field in reference.fields(registry.find(folder, name), reference.RUNTIME_PARAMETERS.get(kind, ())):
                assert (f"\n| `{field.name}` | " if field.is_setting else f"`{field.name}`: ") in section, name


def test_every_key_of_a_manifest_is_described(pages: Path) -> None:
    sections = (pages / "reference" / "manifest.md").read_text(encoding="utf-8").split("\n## ")[1:]
    named = {section.split(" {")[0].strip("`[]"): section for section in sections}
    for field in dataclasses.fields(manifest.Manifest):
        if field.name in TABLES:
            for key in dataclasses.fields(field.default_factory):  # type: ignore[arg-type]
                assert re.search(rf"\n\| `{key.name}` \| .+ \| .+ \| .{{5,}} \|", named[field.name]), key.name
        elif field.name not in named:
            assert re.search(rf"\n\| `{field.name}` \| .+ \| .+ \| .{{5,}} \|", named["Outside of tables"]), field.name


def test_every_dataset_preset_and_recipe_is_shown(pages: Path) -> None:
    for kind in ("dataset", "preset", "recipe"):
        text = (pages / "reference" / f"{kind}s.md").read_text(encoding="utf-8")
        for name in reference.names()[kind]:
            assert reference.show(kind, name) in text


def test_every_command_stands_there_with_every_option(pages: Path) -> None:
    text = (pages / "reference" / "commands.md").read_text(encoding="utf-8")

    def check(group: click.Group, before: str) -> int:
        count = 0
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            if isinstance(command, click.Group):
                count += check(command, f"{before} {name}")
                continue
            section = text.split(f"\n## `{before} {name}` ")[1].split("\n## ")[0]
            for option in command.params:
                if isinstance(option, click.Option):
                    assert re.search(rf"\| `[^`]*{option.opts[-1]}\b[^`]*` \| .{{5,}} \|", section), option.opts
            count += 1
        return count

    assert check(cli, "inrzoo") == text.count("\n## `inrzoo ") > 20


def test_all_links_between_the_pages_lead_to_files(pages: Path) -> None:
    made_later = {pages / "docs" / "notebooks", pages / "gallery"}
    count = 0
    for page in pages.rglob("*.md"):
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)", text):
            path = page.parent / target
            count += 1
            assert path.is_file() or path.parent.resolve() in made_later, f"{page}: {target}"
    assert count > 100


def test_links_to_code_and_folders_lead_to_pages_of_them(pages: Path) -> None:
    example = "tests/plugin/inrzoo_plugin_example/moments.py"
    assert f"({example}.md)" in (pages / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = (pages / f"{example}.md").read_text(encoding="utf-8")
    assert (ROOT / example).read_text(encoding="utf-8").rstrip() in code and code.startswith("# moments.py\n\n```py\n")
    notebook = ROOT / "docs" / "notebooks" / "sounds.py"
    assert f"({notebook.stem}.md)" in (pages / "docs" / "notebooks" / "README.md").read_text(encoding="utf-8")
    folder = (pages / "benchmarks" / "results" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "benchmarks" / "results").glob("*.md"):
        assert f"({path.name})" in folder and (pages / "benchmarks" / "results" / path.name).exists()


def test_links_in_blocks_of_code_and_to_other_sites_stay_as_they_are() -> None:
    text = "[a](https://a.org/b)\n```text\n[b](tests/plugin)\n```\n[c](tests/plugin#there)"
    targets: list[Path] = []
    assert with_links_to_pages(text, ROOT, targets) == text.replace("(tests/plugin#", "(tests/plugin/README.md#")
    assert targets == [ROOT / "tests" / "plugin"]


def test_formulas_become_mathml_and_code_does_not() -> None:
    page = with_mathml(r'<span class="arithmatex">\(a &lt; \omega_0\)</span><code>\(b\)</code>')
    assert page.startswith("<math") and "<mo>&#x0003C;</mo>" in page and page.endswith(r"</math><code>\(b\)</code>")
    assert 'display="block"' in with_mathml('<div class="arithmatex">\\[\nx^2\n\\]</div>')


def test_a_description_of_several_parameters_becomes_one_of_each() -> None:
    docstring = "Do.\n\nArgs:\n    a, b: first\n        and second.\n    c: third.\n\nExample:\n    >>> 1\n    1"
    expected = "    a: first\n        and second.\n    b: first\n        and second.\n    c: third.\n\nExamples:\n"
    assert expected in in_google_style(docstring)


def test_an_address_of_another_server_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<a href="https://a.org">a</a><img src="b.png"><script src=c.js></script>')
    assert not list(foreign_addresses(tmp_path))
    (tmp_path / "page.html").write_text('<p><img alt="" src="https://a.org/b.png">')
    (tmp_path / "style.css").write_text("p { background: url(//a.org/c.png) }")
    assert len(list(foreign_addresses(tmp_path))) == 2


BROKEN = {
    "[a](missing.md)": "'missing.md', but the target is not found",
    "[a](#two)": "'#two', but there is no such anchor",
    "[a](/one)": "absolute link '/one'",
    "[a](folder)": "unrecognized relative link 'folder'",
}
"""Links of a page -> the warnings that they cause."""
ABSENT = {"::: inrzoo.no_such_function": "inrzoo.no_such_function could not be found"}


@pytest.mark.slow
@pytest.mark.parametrize("broken", [BROKEN, ABSENT, {}])
def test_a_page_whose_links_lead_nowhere_fails_the_build(broken: dict[str, str], tmp_path: Path) -> None:
    settings = SETTINGS.read_text(encoding="utf-8").split("not_in_nav:")[0].replace("[../..]", f"[{ROOT}]")
    for name in ("formulas.py", "docstring_style.py"):
        settings = settings.replace(name, str(SETTINGS.parent / name))
    settings = re.sub(r"^(docs|site)_dir:.*$", r"\1_dir: \1", settings, flags=re.MULTILINE)
    (tmp_path / "mkdocs.yml").write_text(f"{settings}\nnav: [index.md]\n", encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# One\n\n[a](#one)\n\n", encoding="utf-8")
    for number, line in enumerate(broken):
        (tmp_path / "docs" / f"{number}.md").write_text(f"# Page\n\n{line}\n", encoding="utf-8")
    command = [*STRICT_BUILD, tmp_path / "mkdocs.yml"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode == 0) == (not broken), done.stderr
    assert ("WARNING" in done.stderr) == bool(broken), done.stderr
    for number, warning in enumerate(broken.values()):
        assert warning in done.stderr
        assert f"  - {number}.md" in done.stderr  # it is not in the navigation
