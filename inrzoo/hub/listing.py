"""The datasets of inrzoo on the Hub, described by their cards."""

from dataclasses import dataclass
from typing import Any

from huggingface_hub import constants

from inrzoo.errors import InrzooError
from inrzoo.hub import transport
from inrzoo.hub.card import TAG
from inrzoo.hub.errors import explained, retrying


@dataclass(frozen=True)
class Listed:
    """A dataset on the Hub, as its card says; None where a card lacks the figure.

    Attributes:
        version: the newest, N of vN.
        format: store format.
        psnr_median: dB.
        num_bytes: of the weights.
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
    """Every dataset that bears the tag `inrzoo`, by name; in one request, more where they fill several pages.

    Args:
        user: of that user or organisation alone.

    Raises:
        InrzooError: no connection, or the token is not known.
    """
    params = {"filter": TAG, "expand": ["cardData", "private", "tags"], **({"author": user} if user else {})}
    url = f"{constants.ENDPOINT}/api/datasets"
    with explained(user or "the datasets"):
        answers = retrying(lambda: list(transport.pages(url, "the list of datasets", params)))
    return sorted(map(_listed, answers), key=lambda listed: listed.repo_id)


def _listed(answer: Any) -> Listed:
    if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
        raise InrzooError("what the Hub says of its datasets cannot be understood: one has no name")
    card = answer.get("cardData")
    recorded = card.get(TAG) if isinstance(card, dict) else None
    facts: dict[str, Any] = recorded if isinstance(recorded, dict) else {}

    def fact(name: str, kinds: type | tuple[type, ...]) -> Any:
        """What a card says, unless somebody has written something else there by hand."""
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
