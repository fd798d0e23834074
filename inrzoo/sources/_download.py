"""Verified downloads into a cache, by pooch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from inrzoo.cache import cache_folder
from inrzoo.display import bars_are_hidden
from inrzoo.errors import InrzooError
from inrzoo.extras import needed


class ProgressBar:
    """The methods of a tqdm bar that pooch calls, drawn by rich; silent if stderr is not a terminal."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

        console = Console(stderr=True)
        columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
        self._progress = Progress(*columns, console=console, disable=bars_are_hidden(), transient=True)
        self._task = self._progress.add_task(name, total=None)

    @property
    def total(self) -> float | None:
        """Bytes to download; None while unknown."""
        return self._progress.tasks[0].total

    @total.setter
    def total(self, value: float) -> None:
        self._progress.update(self._task, total=value or None)
        self._progress.start()  # only now: pooch sets the total when a download begins, not when the file is cached

    def update(self, count: int) -> None:
        """Add `count` bytes."""
        self._progress.advance(self._task, count)

    def reset(self) -> None:
        """Start again from 0; pooch does so before it fills the bar."""
        self._progress.reset(self._task, total=self.total)

    def close(self) -> None:
        """Stop drawing."""
        self._progress.stop()


def download_folder(url: str) -> Path:
    """Return the folder of the files of `url` in the user's cache, which is named after the URL."""
    return cache_folder("downloads") / re.sub(r"[^A-Za-z0-9]+", "-", url.partition("://")[2]).strip("-")


def fetch(url: str, hashes: Mapping[str, str]) -> Path:
    """Download files into the cache unless they are there.

    A file is downloaded under a temporary name and renamed after its hash was checked.

    Args:
        url: URL of the folder that holds the files.
        hashes: hash of each file name, `"sha256:…"` or `"md5:…"`.

    Returns:
        The cache folder.

    Raises:
        InrzooError: a download fails, or its hash differs; the message says how to download by hand.
    """
    with needed("build", "downloading a data set"):
        import pooch

    folder = download_folder(url)
    pooch.get_logger().setLevel("WARNING")
    registry = pooch.create(path=folder, base_url=f"{url.rstrip('/')}/", registry=dict(hashes))
    for name in hashes:
        bar = ProgressBar(name)
        try:
            registry.fetch(name, downloader=pooch.HTTPDownloader(progressbar=bar, timeout=30))
        except (OSError, ValueError) as error:  # requests' errors are OSErrors, a wrong hash is a ValueError
            wrong = "cannot be downloaded" if isinstance(error, OSError) else "is not the expected file"
            urls = ", ".join(f"{url.rstrip('/')}/{file}" for file in hashes)
            raise InrzooError(
                f"{name} {wrong} ({' '.join(str(error).split())}); fetch {urls} into a folder and give it with "
                f"--source (or put them into {folder})"
            ) from error
        finally:
            bar.close()
    return folder


def local_or_fetched(source: str, path: Path | None, url: str | None, hashes: Mapping[str, str]) -> Path:
    """Return `path`, or else the folder with downloads of the files that the manifest names.

    Raises:
        InrzooError: there is neither a path nor a URL; or see `fetch`.
    """
    if path is not None:
        return path
    if url is None or not hashes:
        raise InrzooError(f"{source} needs --source PATH, or url and hashes in the [source] table of the manifest")
    return fetch(url, hashes)
