"""How to cite a dataset on the Hub, inrzoo, and the source of the signals, as BibTeX."""

import re

from inrzoo.hub.header import title
from inrzoo.hub.markdown import one_line
from inrzoo.store import Store

UNSAFE = re.compile(r"[\\{}%#$&_~^]")
"""Characters that mean something in BibTeX or TeX."""


def citation(store: Store, repo_id: str, page: str, version: int) -> str:
    """Return the BibTeX entries of a dataset: the dataset itself, inrzoo, and the source if the store records them.

    Args:
        store: a complete store.
        repo_id: `USER/NAME` of the dataset.
        page: URL of the dataset.
        version: N of the tag vN.
    """
    user, name = repo_id.split("/")
    dataset = _entry(
        "misc",
        re.sub(r"\W", "", f"{user}_{name}_v{version}"),
        author=f"{{{_safe(user)}}}",
        title=_safe(title(store)),
        howpublished="Hugging Face Hub",
        version=f"v{version}",
        url=page,
    )
    made_by = one_line(store.info.version)
    software = _entry(
        "software",
        "inrzoo",
        author="{The authors of inrzoo}",
        title="inrzoo: datasets of implicit neural representations",
        version=_safe(made_by),
    )
    return "\n\n".join(part for part in (dataset, software, store.info.manifest.bibtex.strip()) if part)


def _entry(kind: str, key: str, **fields: str) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def _safe(words: str) -> str:
    """Return words without what TeX would obey."""
    return " ".join(UNSAFE.sub(" ", one_line(words)).split())
