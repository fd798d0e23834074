"""Reading from the Hub within limits: bytes, pages, redirects and time, see `inrzoo.store.limits`.

The client of `huggingface_hub` reads a body to its end, follows a listing to its last page and waits as long as a byte
arrives now and then. Requests here go through the client's own session, with its token, proxies and certificates.
"""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import constants
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from inrzoo.store import limits
from inrzoo.store.limits import Meter, TooMuch, watched

MAX_ERROR_BYTES = 2**16
"""Bytes of an answer that is an error."""
_OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding")


def read(url: str, what: str, limit: int | None = None, params: dict[str, Any] | None = None) -> tuple[bytes, str]:
    """A body in memory.

    Args:
        what: the file, for messages.
        limit: bytes that it may have; `MAX_SMALL_BYTES` by default.

    Returns:
        The body, and the address of the next page of a listing, empty where there is none.

    Raises:
        TooMuch, TooSlow: the server leaves its limits.
        Exception: what `huggingface_hub` raises for an answer that is an error, or the network.
    """

    def transfer(meter: Meter) -> tuple[bytes, str]:
        with _opened(url, what, {}, params) as response:
            content = b"".join(_pieces(response, meter))
            return content, response.links.get("next", {}).get("url", "")

    return watched(Meter(what, limits.MAX_SMALL_BYTES if limit is None else limit), transfer)


def read_json(url: str, what: str, params: dict[str, Any] | None = None) -> Any:
    """A small answer of the Hub's interface. Raises ValueError for what is no JSON, and as `read`."""
    return _parsed(read(url, what, params=params)[0], what)


def pages(url: str, what: str, params: dict[str, Any]) -> Iterator[Any]:
    """The entries of a listing, page by page.

    Raises:
        TooMuch: more pages or bytes than a listing may have, or the next page is somewhere else.
        ValueError: no JSON, or no list.
        TooSlow, Exception: as `read`.
    """
    budget, home = limits.MAX_LISTING_BYTES, urlsplit(url)[:2]
    for _ in range(limits.MAX_PAGES):
        content, following = read(url, what, min(budget, limits.MAX_SMALL_BYTES), params)
        budget -= len(content)
        page = _parsed(content, what)
        if not isinstance(page, list):
            raise ValueError(f"{what} is no list")
        yield from page
        if not following:
            return
        if urlsplit(following)[:2] != home:  # the token goes with the request
            raise TooMuch(f"the next page of {what} is on another server")
        url, params = following, {}
    raise TooMuch(f"{what} has more than {limits.MAX_PAGES:,} pages")


def download(url: str, what: str, path: Path, size: int, stop: Event) -> None:
    """A file on disk; what an earlier attempt left at `path` is continued.

    Args:
        size: bytes that were announced: what goes beyond is not written.
        stop: once set, the transfer ends.

    Raises:
        TooMuch, TooSlow, Exception: as `read`. What arrived stays.
    """
    start = path.stat().st_size if path.exists() else 0
    if start > size:
        path.unlink()
        start = 0
    if start == size and size:
        return

    def transfer(meter: Meter) -> None:
        with _opened(url, what, {"Range": f"bytes={start}-"} if start else {}, None) as response:
            continued = response.status_code == 206
            with path.open("ab" if continued else "wb") as file:
                if continued:
                    meter.add(start)
                for piece in _pieces(response, meter):
                    file.write(piece)

    watched(Meter(what, size, stop), transfer)


@contextmanager
def _opened(url: str, what: str, headers: dict[str, str], params: dict[str, Any] | None) -> Iterator[Any]:
    """An answer whose body is still to be read."""
    client = get_session()
    request = client.build_request(
        "GET",
        url,
        params=params or None,
        headers={**build_hf_headers(), "Accept-Encoding": "identity", **headers},
        timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
    )
    for _ in range(limits.MAX_REDIRECTS + 1):
        response = client.send(request, stream=True, follow_redirects=False)
        try:
            if not response.has_redirect_location:
                _raise_for_status(response, what)
                yield response
                return
            following = response.next_request
        finally:
            response.close()
        if following is None or not _is_safe(str(request.url), str(following.url)):
            raise TooMuch(f"the server sends us elsewhere for {what}, to an address that is not followed")
        request = following
    raise TooMuch(f"the server redirects more than {limits.MAX_REDIRECTS} times for {what}")


def _is_safe(here: str, there: str) -> bool:
    """Whether a redirect stays with HTTP, and with an encrypted connection where there is one."""
    return urlsplit(there).scheme in ({"https"} if here.startswith("https:") else {"http", "https"})


def _raise_for_status(response: Any, what: str) -> None:
    """As the client does, of a body that is read within limits."""
    if response.status_code < 400:
        return
    content = b""
    with suppress(TooMuch):  # the status says enough
        for piece in _pieces(response, Meter(what, MAX_ERROR_BYTES)):
            content += piece
    headers = {name: value for name, value in response.headers.items() if name.lower() not in _OF_THE_BODY}
    hf_raise_for_status(
        type(response)(response.status_code, headers=headers, content=content, request=response.request)
    )


def _pieces(response: Any, meter: Meter) -> Iterator[bytes]:
    """The body in pieces, decompressed, each of them counted."""
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", "", "gzip"):
        raise TooMuch(f"the server compresses {meter.what} although it was asked not to ({encoding[:20]})")
    # Decompressed here: the client would do it whole, and a few bytes may stand for gigabytes.
    for piece in _gunzip(response.iter_raw()) if encoding == "gzip" else response.iter_bytes():
        meter.add(len(piece))
        yield piece


def _gunzip(body: Iterator[bytes]) -> Iterator[bytes]:
    machine = zlib.decompressobj(wbits=31)
    for raw in body:
        waiting = raw
        while waiting:
            yield machine.decompress(waiting, limits.PIECE_BYTES)
            waiting = machine.unconsumed_tail


def _parsed(content: bytes, what: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError(f"{what} is no JSON") from None
