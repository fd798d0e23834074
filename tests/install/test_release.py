"""A release needs versions that agree; nothing is published unless it is asked for."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import inrzoo

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "pipelines"))
import release  # noqa: E402

CHANGELOG = "# Changelog\n\n## 1.2.0\n\n- new\n\n## 1.1.0\n"
CITATION = "cff-version: 1.2.0\nversion: 1.2.0\n"


def test_versions_that_agree_can_be_released() -> None:
    assert release.disagreements("1.2.0", CHANGELOG, CITATION, ["latest", "v1.2.0"]) == []


@pytest.mark.parametrize(
    ("version", "changelog", "citation", "tags", "problem"),
    [
        ("1.3.0", CHANGELOG, CITATION, ["v1.2.0"], "CHANGELOG.md begins with 1.2.0, not with 1.3.0"),
        ("1.1.0", CHANGELOG, CITATION, ["v1.1.0"], "CHANGELOG.md begins with 1.2.0, not with 1.1.0"),
        ("1.2.0", "# Changelog\n", CITATION, ["v1.2.0"], "CHANGELOG.md begins with no section, not with 1.2.0"),
        ("1.2.0", CHANGELOG, "cff-version: 1.2.0\n", ["v1.2.0"], "CITATION.cff names version none, not 1.2.0"),
        ("1.2.0", CHANGELOG, CITATION, ["v1.1.0"], "this commit has no tag v1.2.0, only: v1.1.0"),
        ("1.2.0", CHANGELOG, CITATION, [], "this commit has no tag v1.2.0, only: none"),
    ],
)
def test_what_does_not_agree_is_named(
    version: str, changelog: str, citation: str, tags: list[str], problem: str
) -> None:
    assert problem in release.disagreements(version, changelog, citation, tags)


def test_what_does_not_agree_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr(release, "run", lambda *words, **_: ran.append(words))
    monkeypatch.setattr(release, "disagreements", lambda *_: ["one thing"])
    with pytest.raises(SystemExit, match="not ready for a release:\n- one thing"):
        release.main(tmp_path, "ada/digits", publish=True)
    assert ran == []


@pytest.mark.parametrize("publish", [True, False])
def test_only_publish_publishes(publish: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(release, "run", lambda command, **_: ran.append(command))
    monkeypatch.setattr(release, "disagreements", lambda *_: [])
    monkeypatch.setattr(release, "build", lambda out: [out / "inrzoo-1.whl", out / "inrzoo-1.tar.gz"])
    monkeypatch.setattr(release, "try_wheel", lambda wheel: None)
    release.main(tmp_path, "ada/digits", publish)
    sent = [command for command in ran if "upload" in command or "push" in command]
    assert len(sent) == (2 if publish else 0)
    assert not publish or sent[1][-1] == "ada/digits"


@pytest.mark.slow
def test_a_dry_run_builds_checks_and_tries_the_wheel(tmp_path: Path) -> None:
    words = [sys.executable, ROOT / "pipelines" / "release.py", "--out", tmp_path]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    problems = release.disagreements(
        inrzoo.__version__, release.read("CHANGELOG.md"), release.read("CITATION.cff"), release.tags_of_this_commit()
    )
    assert done.returncode == (1 if problems else 0), done.stdout + done.stderr
    assert all(problem in done.stderr for problem in problems)
    assert done.stdout.count(": PASSED") + done.stdout.count("PASSED") >= 2  # twine, on the sdist and the wheel
    assert "INRs (and the engines" in done.stdout and "is verified" in done.stdout
    assert len(re.findall("not published, would run: ", done.stdout)) == 2


def test_the_citation_says_what_the_package_says() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == inrzoo.__version__ and citation["license"] == project["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in project["authors"]]
    assert citation["keywords"] == project["keywords"]


@pytest.mark.slow
def test_the_citation_is_valid() -> None:
    """By the schema that the package cffconvert brings; it needs the package index, as `make` does."""
    words = ["-m", "uv", "tool", "run", "--quiet", "cffconvert==2.0.0", "--validate", "-i", ROOT / "CITATION.cff"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 0 and "are valid" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda path: path.stem
)
def test_an_issue_form_is_one(path: Path) -> None:
    """What GitHub asks of a form: a name, a description, and fields with their own ids, labels and known types."""
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys() <= {"name", "description", "title", "labels", "body"}
    allowed = {"label", "description", "placeholder", "render", "options"}
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len({*ids})
    for field in form["body"]:
        assert field["type"] in ("input", "textarea", "dropdown", "checkboxes")
        assert field.keys() <= {"type", "id", "attributes", "validations"}
        assert field["attributes"]["label"] and field["attributes"].keys() <= allowed
        assert ("options" in field["attributes"]) == (field["type"] in ("dropdown", "checkboxes"))
        assert "render" not in field["attributes"] or field["type"] == "textarea"
    assert any(field.get("validations", {}).get("required") for field in form["body"])
