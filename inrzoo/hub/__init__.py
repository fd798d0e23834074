"""Datasets of INRs on the Hugging Face Hub. Only this room uses `huggingface_hub`.

`push` publishes a store as an immutable version, `pull` downloads one, whole or in part, `pin` resolves a dataset to
one commit, `search` lists datasets. Interrupted calls continue.
"""

from inrzoo.extras import needed

with needed("hub", "reading and writing datasets of the Hub"):
    from inrzoo.hub.encoder_files import PushedModel, push_model, read_model, require_model_name
    from inrzoo.hub.evaluation import push_benchmark
    from inrzoo.hub.listing import Listed, search
    from inrzoo.hub.pull import Pulled, pull
    from inrzoo.hub.push import Pushed, push
    from inrzoo.hub.remote import browser_address, pin

__all__ = [
    "Listed",
    "Pulled",
    "Pushed",
    "PushedModel",
    "browser_address",
    "pin",
    "pull",
    "push",
    "push_benchmark",
    "push_model",
    "read_model",
    "require_model_name",
    "search",
]
