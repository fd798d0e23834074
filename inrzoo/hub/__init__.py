"""Datasets of INRs on the Hugging Face Hub. The only room that knows `huggingface_hub`.

`push` publishes a store as an immutable version, `pull` brings one back, whole or in part, `pin` resolves a dataset to
one commit, `search` lists what there is. Long work continues where it was interrupted.
"""

from inrzoo.hub.listing import Listed, search
from inrzoo.hub.pull import Pulled, pull
from inrzoo.hub.push import Pushed, push
from inrzoo.hub.remote import pin

__all__ = ["Listed", "Pulled", "Pushed", "pin", "pull", "push", "search"]
