"""Publishes the gallery of a dataset as a Space of its name: static files, which read the store from the dataset.

The page is that of `inrzoo site`. The Space holds no weights: its settings name the dataset's store at the commit of a
version, so a gallery goes on working when versions are added, and shows the new one after the next push of it.
"""

from huggingface_hub import HfApi, SpaceCard, SpaceCardData, constants

from inrzoo.errors import InrzooError
from inrzoo.hub.branch import Branch
from inrzoo.hub.errors import retrying
from inrzoo.hub.header import TAG, title
from inrzoo.hub.markdown import one_line, text
from inrzoo.hub.remote import DATASET, Kind, Snapshot, commit_of, require_public, store_address, tree
from inrzoo.store import Store
from inrzoo.viewer.site import PAGE, page_files

SPACE: Kind = "space"
SETTINGS = "gallery.json"
"""File by which a Space is known as a gallery."""
NEW = {".gitattributes", "README.md", "index.html", "style.css"}
"""Files of a static Space that nobody has written to yet."""


def require_possible(repo_id: str, private: bool) -> None:
    """Check that a gallery can be published, before anything is sent.

    Args:
        repo_id: `USER/NAME` of the dataset and of the Space.
        private: whether a new dataset is to be private.

    Raises:
        InrzooError: browsers cannot read the dataset, or the Space of that name holds something else.
    """
    if private:
        raise InrzooError("--gallery cannot be used with --private: browsers cannot read a private dataset")
    if retrying(lambda: HfApi().repo_exists(repo_id, repo_type=DATASET)):
        require_public(repo_id)
    if retrying(lambda: HfApi().repo_exists(repo_id, repo_type=SPACE)):
        files = {*tree(repo_id, commit_of(repo_id, "main", SPACE), SPACE)}
        if SETTINGS not in files and not files <= NEW:
            raise InrzooError(
                f"the Space {repo_id} holds something else (first {min(files - NEW)}) and was left unchanged; "
                "push without --gallery, or under another name"
            )


def push_gallery(store: Store, dataset: Snapshot) -> str:
    """Publish the gallery of a version of a dataset, unless it is already published.

    Args:
        store: the store of that version, complete and local.
        dataset: the version.

    Returns:
        URL of the Space.

    Raises:
        Exception: `huggingface_hub` raises an error of the server or the network.
    """
    repo_id, api = dataset.repo_id, HfApi()
    retrying(lambda: api.create_repo(repo_id, repo_type=SPACE, space_sdk="static", exist_ok=True))
    pages = page_files(store, store_address(repo_id, dataset.commit, dataset.store))
    pages["README.md"] = _readme(store, dataset).encode()
    branch = Branch(repo_id, "main", SPACE)
    stray = sorted((NEW - {".gitattributes", "README.md", *PAGE}) & branch.entries.keys())
    branch.commit_contents(pages, f"Show {dataset.commit[:12]}", delete=stray)
    return f"{constants.ENDPOINT}/spaces/{repo_id}"


def _readme(store: Store, dataset: Snapshot) -> str:
    """Return the README.md, whose header tells the Hub to serve the files as they are."""
    data = SpaceCardData(
        title=one_line(f"{dataset.repo_id.split('/')[1]}: INRs in the browser"),
        emoji="🧠",
        colorFrom="blue",
        colorTo="indigo",
        sdk="static",
        app_file="index.html",
        datasets=[dataset.repo_id],
        tags=[TAG, "implicit-neural-representations"],
    )
    address = f"{constants.ENDPOINT}/datasets/{dataset.repo_id}"
    words = (
        f"Each picture is evaluated in the browser from the weights of the dataset {address} "
        f"at commit {dataset.commit}. Made with inrzoo {text(store.info.version)}."
    )
    return str(SpaceCard(f"---\n{data.to_yaml()}\n---\n\n# {text(title(store))}\n\n{words}\n"))
