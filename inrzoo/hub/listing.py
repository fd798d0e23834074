"""The datasets of inrzoo on the Hub, described by their cards."""

from dataclasses import dataclass
from typing import Any

from huggingface_hub import HfApi

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
    with explained(user or "the datasets"):
        found = retrying(
            lambda: list(HfApi().list_datasets(filter=TAG, author=user, expand=["cardData", "private", "tags"]))
        )
    return sorted((_listed(info) for info in found), key=lambda listed: listed.repo_id)


def _listed(info: Any) -> Listed:
    card: Any = info.card_data.to_dict() if hasattr(info.card_data, "to_dict") else {}
    given = card.get(TAG)
    facts: dict[str, Any] = given if isinstance(given, dict) else {}

    def fact(name: str, kinds: type | tuple[type, ...]) -> Any:
        """What a card says, unless somebody has written something else there by hand."""
        value = facts.get(name)
        return value if isinstance(value, kinds) and not isinstance(value, bool) else None

    return Listed(
        repo_id=info.id,
        private=bool(info.private),
        version=fact("version", int),
        format=fact("format", int),
        dataset=fact("dataset", str),
        num_inrs=fact("num_inrs", int),
        num_seeds=fact("num_seeds", int),
        num_bytes=fact("num_bytes", int),
        psnr_median=fact("psnr_median", (int, float)),
    )
