# %% [markdown]
# # Publish
#
# A store is a folder of plain files, so any place that holds files can publish it: a web server, a bucket, the Hub.
# This notebook runs without a network: it serves a store from this machine and reads it back as a stranger would.

# %%
import tempfile
from pathlib import Path

import inrzoo

folder = Path(tempfile.mkdtemp())
path = folder / "digits.zarr"
inrzoo.build("digits", limit=200, seeds=2, init="shared", out=path)
store = inrzoo.open_store(path)

# %% [markdown]
# ## Before it goes out
#
# `inrzoo verify` checks every checksum and renders every INR again. `--refit 5` also fits five of them once more,
# from the store alone. A push does the first by itself.

# %%
from inrzoo.verify import verify

findings = verify(store.path)
assert not findings.problems
print(f"verified {findings.num_files} files, {findings.num_inrs} INRs")

# %% [markdown]
# The store says of itself what readers need to know: licence, citation, settings, environment, quality. `inrzoo
# info digits.zarr` shows it.

# %%
from inrzoo import summary

print(summary.as_text(store, 76))

# %% [markdown]
# ## On any web server
#
# `inrzoo site digits.zarr --out site` writes a folder with a page that evaluates the INRs in the browser, and the
# store itself. Copy it to any static host. Here the standard library's server plays that part:

# %%
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from inrzoo.viewer import write_site


class Quiet(SimpleHTTPRequestHandler):
    """A handler that does not log each request."""

    def log_message(self, *_):
        """Say nothing."""


print(write_site(store, folder / "site"), "INRs on the page")
handler = partial(Quiet, directory=folder / "site")
server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"

# %% [markdown]
# The page is at that address, and the store at `/store` below it. Anybody with inrzoo reads it there, piece by
# piece, without a download first; `inrzoo info URL` and `inrzoo train classify URL` do, too:

# %%
url = f"{address}/store"
stream = inrzoo.load(url, split="train", streaming=True, batch_size=64)
batch = next(iter(stream))
print(batch.weights.shape, batch.label[:8])
server.shutdown()

# %% [markdown]
# ## As files for everybody's tools
#
# Parquet is read by pandas, DuckDB, polars and `datasets`, without inrzoo. On the command line: `inrzoo export
# digits.zarr --format parquet --out parquet`

# %%
import pyarrow.parquet

from inrzoo.interchange import export_parquet

export_parquet(path, folder / "parquet")
[first, *_] = sorted((folder / "parquet").rglob("*.parquet"))
rows = pyarrow.parquet.read_table(first, columns=["label", "psnr", "weights"])
print(rows.num_rows, "rows")
print("label", rows["label"][0], "PSNR", rows["psnr"][0])
print(len(rows["weights"][0]), "weights")

# %% [markdown]
# ## On the Hub
#
# One command sends the store, the Parquet files, a card with pictures, and a tag, `v1`. It needs an account and a
# token (`hf auth login`), and goes on where it was interrupted:
#
# ```text
# inrzoo push digits.zarr USER/digits
# inrzoo pull USER/digits --out copy.zarr
# ```
#
# More seeds become `v2`, and `v1` never changes; [the page on the Hub](../hub.md) has the rest.
