# %% [markdown]
# # Images of your own
#
# A folder of pictures becomes a dataset of INRs: one manifest, one command. This notebook makes the pictures, too,
# so that it runs anywhere; put your folder in place of it.

# %%
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import inrzoo

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A folder of pictures
#
# The folder's own names are the labels: `photos/stripes/0.png`. With `train`, `val` and `test` above them they are
# the splits, too. Sizes may differ.

# %%
rng = np.random.default_rng(0)
rows, columns = np.mgrid[-1:1:48j, -1:1:64j]
for number in range(8):
    angle, colour = rng.uniform(0, np.pi), rng.uniform(0.3, 1, 3)
    waves = {
        "stripes": np.sin(9 * (columns * np.cos(angle) + rows * np.sin(angle))),
        "rings": np.sin(9 * np.hypot(columns - rng.uniform(-0.5, 0.5), rows)),
    }
    for label, wave in waves.items():
        (folder / "photos" / label).mkdir(parents=True, exist_ok=True)
        pixels = (127.5 * (1 + wave[:, :, None]) * colour).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / label / f"{number}.png")
for path in sorted(folder.rglob("*0.png")):
    print(path.relative_to(folder))

# %% [markdown]
# ## A manifest
#
# It says what to build; everything that decides a number stands in it, and all of it is recorded in the store.
# Pictures are cropped to the centre and scaled to `size`. [Manifests](../manifests.md) and [every
# key](../../reference/manifest.md) have the rest.

# %%
manifest = folder / "photos.toml"
manifest.write_text(
    """
title = "Stripes and rings"
licence = "CC0-1.0"
redistributable = true

[source]
name = "image_folder"
size = 32
channels = 3
num_validation = 2
num_test = 2

[inr]
name = "siren"
hidden_features = 24
hidden_layers = 1
omega_0 = 20.0

[fit]
steps = 1500
lr = 1e-3
stop_psnr = 40.0
""",
    encoding="utf-8",
)

# %% [markdown]
# ## Build and look
#
# On the command line: `inrzoo build photos.toml --source photos`

# %%
report = inrzoo.build(manifest, source=folder / "photos", out=folder / "photos.zarr")
print(report.num_inrs, "INRs, mean PSNR", round(report.psnr_mean, 2), "dB")
assert report.psnr_mean > 30

# %%
from inrzoo.preview import preview

store = inrzoo.open_store(folder / "photos.zarr")
preview(store, folder / "photos.png", num_signals=8)
Image.open(folder / "photos.png")

# %% [markdown]
# ## What it took from the folder
#
# Labels from the names of the folders, ids from the names of the files, splits drawn once and recorded:

# %%
ids = np.array(store.signal_ids)
for code, name in enumerate(store.info.split_names):
    print(name, ids[store.split == code][:4].tolist())
print(store.info.label_names, store.labels["class"].tolist())

# %% [markdown]
# One picture at ten times its size, straight from the weights; on the command line `inrzoo render photos.zarr
# --signal 0 --finer 10`:

# %%
finer = store.render(0, 0, coords=store.coords(finer=10))
side = round(len(finer) ** 0.5)
pixels = 127.5 * (1 + finer.reshape(side, side, 3).clip(-1, 1).numpy())
Image.fromarray(pixels.astype(np.uint8))
