# %% [markdown]
# # Train on weights
#
# A classifier that reads the weights of INRs and never sees a pixel. With a good choice of *starts* it is a matter
# of two minutes, and this notebook shows why that choice matters.

# %%
import tempfile
from pathlib import Path

import inrzoo

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## INRs that share their start
#
# Two fits of the same picture from different random draws end at weights that look unrelated. If all fits start at
# *one* draw, similar pictures get similar weights. On the command line: `inrzoo build digits --init shared`.

# %%
report = inrzoo.build("digits", init="shared", out=folder / "shared.zarr")
print(report.num_inrs, "INRs, mean PSNR", round(report.psnr_mean, 2), "dB")

# %% [markdown]
# ## Train
#
# `flat_mlp` is the plainest encoder there is: a multilayer perceptron on the weight vector. The task splits by the
# store's own splits, normalises by its statistics, validates as it goes and keeps the best checkpoint. On the
# command line:
#
# ```text
# inrzoo train classify shared.zarr --encoder flat_mlp --steps 200 --warmup 50 \
#     --validate-every 100 --augment none
# ```

# %%
SETTINGS = {
    "encoder": "flat_mlp",
    "steps": 200,
    "warmup": 50,
    "validate_every": 100,
    "augment": (),
}
store = folder / "shared.zarr"
run = inrzoo.train("classify", store, **SETTINGS, out=folder / "run")

# %% [markdown]
# ## Measure
#
# On the test split, which neither training nor the choice of the checkpoint has seen:


# %%
def accuracy(run_folder, store):
    """Accuracy on the test split, in percent."""
    measured = inrzoo.evaluate(run_folder, store)
    return next(each.mean for each in measured if each.name == "accuracy")


shared = accuracy(run.folder, store)
print(f"{shared:.1f} % of the test digits are classified correctly")
assert shared >= 85

# %% [markdown]
# ## What the start does
#
# The same pictures, the same encoder, the same steps; but every INR starts at a draw of its own, the default of a
# build.

# %%
strangers = folder / "random.zarr"
inrzoo.build("digits", out=strangers)
other = inrzoo.train("classify", strangers, **SETTINGS, out=folder / "other_run")
random = accuracy(other.folder, strangers)
print(f"shared start {shared:.1f} %, random starts {random:.1f} %")
assert random < shared

# %% [markdown]
# Weights with random starts are the harder and the more general problem: an encoder has to see through the
# symmetries of a network, such as the order of its neurons. `inrzoo list` names the encoders that do; what they
# reach is on the pages on [contrastive and supervised learning](../contrastive.md) and [few-shot
# learning](../few_shot.md).
#
# ## A loop of your own
#
# The task above is a convenience. Batches for your own loop come from a stream, normalised, with labels:

# %%
stream = inrzoo.load(store, split="train", streaming=True, shuffle=True, batch_size=128)
batch = next(iter(stream))
print(batch.weights.shape, batch.label[:8])

# %% [markdown]
# [Loading for training](../loading.md) has map-style datasets, pairs, episodes, ranks and remote stores.
