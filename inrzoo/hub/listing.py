"""Lists the datasets of inrzoo on the Hub by their cards."""

from dataclasses import dataclass
from typing import Any

from huggingface_hub import constants

from inrzoo.errors import InrzooError
from inrzoo.hub import transport
from inrzoo.hub.errors import explained, retrying
from inrzoo.hub.header import TAG


@dataclass(frozen=True)
class Listed:
    """The figures on the card of a dataset; None if the card lacks one.

    Attributes:
        version: N of the newest version vN.
        format: version of the store format.
        psnr_median: median PSNR in dB.
        num_bytes: size of the weights in bytes.
    """

    repo_id: str
    private: bool
    version: int | None
    format: int | None
    dataset: str | None
    num_inrs: int | None
    num_seeds: int | None
    num_bytes: int | None
    psnr_median: float | None


def search(user: str | None = None) -> list[Listed]:
    """List the datasets with the tag `inrzoo` by name, with one request for each page.

    Args:
        user: only datasets of this user or organisation.

    Raises:
        InrzooError: there is no connection, or the token is unknown.
    """
    params = {"filter": TAG, "expand": ["cardData", "private", "tags"], **({"author": user} if user else {})}
    url = f"{constants.ENDPOINT}/api/datasets"
    with explained(user or "the datasets"):
        answers = retrying(lambda: list(transport.pages(url, "the list of datasets", params)))
    return sorted(map(_listed, answers), key=lambda listed: listed.repo_id)


def _listed(answer: Any) -> Listed:
    if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
        raise InrzooError("the Hub's answer about its datasets is malformed: one has no name")
    card = answer.get("cardData")
    recorded = card.get(TAG) if isinstance(card, dict) else None
    facts: dict[str, Any] = recorded if isinstance(recorded, dict) else {}

    def fact(name: str, kinds: type | tuple[type, ...]) -> Any:
        """Return a figure of the card if it has the right type; cards can be edited by hand."""
        value = facts.get(name)
        return value if isinstance(value, kinds) and not isinstance(value, bool) else None

    return Listed(
        repo_id=answer["id"],
        private=answer.get("private") is True,
        version=fact("version", int),
        format=fact("format", int),
        dataset=fact("dataset", str),
        num_inrs=fact("num_inrs", int),
        num_seeds=fact("num_seeds", int),
        num_bytes=fact("num_bytes", int),
        psnr_median=fact("psnr_median", (int, float)),
    )
