# %% [markdown]
# # First store in five minutes
#
# An implicit neural representation (INR) is a small network that maps coordinates to values. Fitted to one picture
# it *is* that picture, and its weights are one item of a dataset. Here you make such a dataset, look at it, and
# check it.
#
# Each call stands here as Python; its twin on the command line is in the text, with the same names and defaults.

# %%
import tempfile
from pathlib import Path

import inrzoo

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Build
#
# The handwritten digits that come with scikit-learn need no network: 8×8 pixels, ten classes. 300 of them, two fits
# of each. The first build on a machine compiles its engine, which takes some seconds; after that a core fits over a
# hundred INRs a second.
#
# On the command line: `inrzoo build digits --limit 300 --seeds 2`

# %%
report = inrzoo.build("digits", limit=300, seeds=2, out=folder / "digits.zarr")
print(report.num_inrs, "INRs, mean PSNR", round(report.psnr_mean, 2), "dB")

# %% [markdown]
# The build can be stopped at any time, by Ctrl-C or by a crash; the same call goes on. Asked for more, it fits only
# what is missing:

# %%
report = inrzoo.build("digits", limit=300, seeds=3, out=folder / "digits.zarr")
print(report.num_inrs, "INRs")

# %% [markdown]
# ## Look
#
# The upper row has the originals, below them what the INRs say, and the INRs on a finer grid than they were fitted
# to. `inrzoo preview digits.zarr` writes the same; `inrzoo view digits.zarr` opens a page that evaluates the
# weights in your browser.

# %%
from inrzoo.preview import preview

store = inrzoo.open_store(folder / "digits.zarr")
drawn = preview(store, folder / "digits.png", num_signals=8)

# %%
from PIL import Image

Image.open(folder / "digits.png")

# %% [markdown]
# ## Verify
#
# The store has the checksum of every file, and the signals. `inrzoo verify digits.zarr` compares the checksums,
# renders every INR again, and says what differs.

# %%
from inrzoo.verify import verify

findings = verify(store.path)
print(findings.num_files, "files,", findings.num_inrs, "INRs")
print("problems:", findings.problems)
assert not findings.problems

# %% [markdown]
# ## Read
#
# A signal has several fits, a fit has P weights, and a layout says which of the P numbers belong to which tensor.

# %%
weights = store.weights[0, :, -1]  # (seeds, P): signal 0 at its last snapshot
print(weights.shape)
for name, tensor in store.layout.split(weights).items():
    print(name, tensor.shape)
print("label", store.labels["digit"][0], "PSNR", store.psnr[0, :, -1].round(1))

# %% [markdown]
# An INR is a function of weights and coordinates: evaluate it wherever you like, here eight times finer than the
# pixels.

# %%
finer = store.render(0, 1, coords=store.coords(finer=8))  # (points, channels)
side = round(len(finer) ** 0.5)
print(finer.shape, "that is", side, "×", side)

# %%
from matplotlib import pyplot

figure, axes = pyplot.subplots(1, 2, figsize=(5, 2.6), layout="constrained")
axes[0].imshow(store.signals(slice(0, 1)).reshape(8, 8), cmap="gray")
axes[0].set_title("8 × 8 pixels")
axes[1].imshow(finer.reshape(side, side), cmap="gray")
axes[1].set_title(f"its INR, {side} × {side}")
for axis in axes:
    axis.set_axis_off()
pyplot.show()

# %% [markdown]
# ## Where it goes from here
#
# - [Train on weights](train_on_weights.md) puts this store to use.
# - [Images of your own](own_images.md) and [sounds](sounds.md) replace the digits.
# - `inrzoo list` names the datasets, architectures and tasks; `inrzoo show siren` explains one.
