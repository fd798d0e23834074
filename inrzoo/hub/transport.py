"""Reads from the Hub within limits of bytes, pages, redirects and time; see `inrzoo.store.limits`.

The client of `huggingface_hub` has no such limits; `limited_client` sets some. Requests use the client's session, with
its token, proxies and certificates.
"""

import importlib
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
"""Maximum size of an error's body in bytes."""
METERED = "inrzoo.metered"
"""Extension of the requests whose bodies are counted by their reader."""
_OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding")


def read(url: str, what: str, limit: int | None = None, params: dict[str, Any] | None = None) -> tuple[bytes, str]:
    """Read a body into memory.

    Args:
        url: the URL.
        what: name of the file for messages.
        limit: maximum number of bytes; `MAX_SMALL_BYTES` by default.
        params: query of the URL.

    Returns:
        The body, and the URL of the next page of a listing, or an empty string.

    Raises:
        TooMuch, TooSlow: the server exceeds the limits.
        Exception: `huggingface_hub` raises an error of the server or the network.
    """

    def transfer(meter: Meter) -> tuple[bytes, str]:
        with _opened(url, what, {}, params) as response:
            content = b"".join(_pieces(response, meter))
            return content, response.links.get("next", {}).get("url", "")

    return watched(Meter(what, limits.MAX_SMALL_BYTES if limit is None else limit), transfer)


def read_json(url: str, what: str, params: dict[str, Any] | None = None) -> Any:
    """Read a small JSON answer. Raises ValueError if it is not JSON, and as `read`."""
    return _parsed(read(url, what, params=params)[0], what)


def pages(url: str, what: str, params: dict[str, Any]) -> Iterator[Any]:
    """Yield the entries of a listing, page by page.

    Raises:
        TooMuch: the listing has too many pages or bytes, or the next page is on another server.
        ValueError: a page is not a JSON list.
        TooSlow, Exception: as `read`.
    """
    budget, home = limits.MAX_LISTING_BYTES, urlsplit(url)[:2]
    for _ in range(limits.MAX_PAGES):
        content, following = read(url, what, min(budget, limits.MAX_SMALL_BYTES), params)
        budget -= len(content)
        page = _parsed(content, what)
        if not isinstance(page, list):
            raise ValueError(f"{what} is not a list")
        yield from page
        if not following:
            return
        if urlsplit(following)[:2] != home:  # the request contains the token
            raise TooMuch(f"the next page of {what} is on another server")
        url, params = following, {}
    raise TooMuch(f"{what} has more than {limits.MAX_PAGES:,} pages")


def download(url: str, what: str, path: Path, size: int, stop: Event) -> None:
    """Download a file; a partial download at `path` is continued.

    Args:
        url: the URL.
        what: name of the file for messages.
        path: file to write.
        size: declared number of bytes; more are not written.
        stop: event that ends the transfer.

    Raises:
        TooMuch, TooSlow, Exception: as `read`. Received data stay.
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
def limited_client() -> Iterator[None]:
    """Hold the requests that the client makes by itself, such as those of an upload, to `limits.MAX_SMALL_BYTES`."""
    hooks = get_session().event_hooks
    # Each use takes away what it has added, because uses in several threads overlap.
    hooks["request"].append(_ask_uncompressed)
    hooks["response"].append(_limit)
    try:
        yield
    finally:
        hooks["request"].remove(_ask_uncompressed)
        hooks["response"].remove(_limit)


def _ask_uncompressed(request: Any) -> None:
    request.headers["Accept-Encoding"] = "identity"


def _limit(response: Any) -> None:
    """Count the bytes of an answer while the client reads it. The requests of this module count their own."""
    if METERED in response.request.extensions:
        return
    what = f"an answer to {response.request.method} {response.request.url.path}"
    _encoding(response, what, ("identity", ""))
    # The class of streams belongs to the client's HTTP library, which is another one from version to version.
    library = importlib.import_module(type(response).__module__.partition(".")[0])
    body, meter = response.stream, Meter(what, limits.MAX_SMALL_BYTES)

    class Counted(library.SyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[bytes]:
            for piece in body:
                meter.add(len(piece))
                yield piece

        def close(self) -> None:
            body.close()

    response.stream = Counted()


@contextmanager
def _opened(url: str, what: str, headers: dict[str, str], params: dict[str, Any] | None) -> Iterator[Any]:
    """Yield an answer before its body is read."""
    client = get_session()
    request = client.build_request(
        "GET",
        url,
        params=params or None,
        headers={**build_hf_headers(), "Accept-Encoding": "identity", **headers},
        timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        extensions={METERED: True},
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
            raise TooMuch(f"the server redirects {what} to an unsafe address, which is not followed")
        request = following
    raise TooMuch(f"the server redirects more than {limits.MAX_REDIRECTS} times for {what}")


def _is_safe(source: str, target: str) -> bool:
    """Return whether a redirect stays with HTTP, and never leaves an encrypted connection."""
    return urlsplit(target).scheme in ({"https"} if source.startswith("https:") else {"http", "https"})


def _raise_for_status(response: Any, what: str) -> None:
    """Raise the client's exception for an error, whose body is read within limits."""
    if response.status_code < 400:
        return
    content = b""
    with suppress(TooMuch):  # the status suffices
        for piece in _pieces(response, Meter(what, MAX_ERROR_BYTES)):
            content += piece
    headers = {name: value for name, value in response.headers.items() if name.lower() not in _OF_THE_BODY}
    hf_raise_for_status(
        type(response)(response.status_code, headers=headers, content=content, request=response.request)
    )


def _pieces(response: Any, meter: Meter) -> Iterator[bytes]:
    """Yield the decompressed body in pieces and count their bytes."""
    encoding = _encoding(response, meter.what, ("identity", "", "gzip"))
    # Decompressed in pieces, unlike in the client, because a few bytes may expand to gigabytes.
    for piece in _gunzip(response.iter_raw()) if encoding == "gzip" else response.iter_bytes():
        meter.add(len(piece))
        yield piece


def _encoding(response: Any, what: str, allowed: tuple[str, ...]) -> str:
    """Return the encoding of a body. Raises TooMuch for one that is not allowed."""
    encoding: str = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in allowed:
        raise TooMuch(f"the server compresses {what} despite the request not to ({encoding[:20]})")
    return encoding


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
        raise ValueError(f"{what} is not JSON") from None
