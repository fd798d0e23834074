"""One variable names the cache folder for every kind of file."""

from pathlib import Path

import pytest

from inrzoo.cache import cache_folder
from inrzoo.errors import InrzooError
from inrzoo.fit import compiled
from inrzoo.sources._download import download_folder


def test_the_cache_is_where_the_variables_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INRZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder("stores") == tmp_path / "cache" / "stores"
    monkeypatch.setenv("INRZOO_CACHE", "")
    assert cache_folder("stores") == tmp_path / "xdg" / "inrzoo" / "stores"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder("stores") == Path.home() / ".cache" / "inrzoo" / "stores"


def test_kernels_and_downloads_lie_in_the_same_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INRZOO_CACHE", str(tmp_path))
    assert compiled._kernels_folder() == tmp_path / "kernels"
    assert download_folder("https://a.org/mnist").parent == tmp_path / "downloads"


def test_a_cache_that_cannot_be_made_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("INRZOO_CACHE", str(tmp_path / "file"))
    with pytest.raises(InrzooError, match=r"no compiled engine can be kept in .*/kernels: .*set INRZOO_CACHE"):
        compiled._kernels_folder()
