# %% [markdown]
# # Score an encoder of your own
#
# An encoder is a class in a file of yours. This notebook writes one, has it scored by one command on a store that is
# pinned to the bit, puts its row on a board, and shows what a benchmark refuses. It takes half a minute and no network.

# %%
import os
import subprocess
import sys
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
os.chdir(folder)
os.environ["PYTHONPATH"] = str(folder)  # where Python looks for your file
sys.path.insert(0, str(folder))

# %% [markdown]
# ## A benchmark task
#
# A task is a file: a store, the sha256 of what it holds, a split, a measure and a rule. Those of inrzoo are in
# `inrzoo leaderboard list`; this one is small enough for a notebook. `inrzoo build digits --init shared --limit 600
# --out digits_shared.zarr` makes the same store, to the bit, on any machine with the same software and kind of
# processor.

# %%
import inrzoo
from inrzoo import leaderboard

inrzoo.build("digits", init="shared", limit=600, out="digits_shared.zarr", quiet=True)
store = inrzoo.open_store("digits_shared.zarr")
digest = leaderboard.content_sha256(store)
Path("digits_shared.toml").write_text(f"""
title = "Digits of 8 x 8 pixels from the weights of SIRENs that share their start"
content_sha256 = "{digest}"
train = "classify"
measure = "accuracy"
rule = "INRs and labels of the training split; the digits themselves may not be read."

[build]
dataset = "digits"
init = "shared"
limit = 600

[defaults]
steps = 100
warmup = 20
validate_every = 50
augment = []
""")
print(leaderboard.find("digits_shared.toml").build_command)

# %% [markdown]
# ## An encoder
#
# It is given the layout of the weights and says how many features it returns: weights (B, P) come in, features
# (B, F) go out. Whatever else is in its `__init__` is an option.

# %%
Path("reader.py").write_text('''
from torch import nn

from inrzoo.encoders import Encoder


class Reader(Encoder):
    """Two linear maps with a GELU between them.

    Args:
        layout: of the weights.
        width: features of the hidden layer, and of the output.
    """

    def __init__(self, *, layout, width: int = 64) -> None:
        super().__init__(layout)
        self.out_features = width
        maps = [nn.Linear(layout.num_params, width), nn.GELU(), nn.Linear(width, width)]
        self.network = nn.Sequential(*maps)

    def forward(self, weights):
        return self.network(weights)
''')

# %% [markdown]
# ## One command
#
# It trains the encoder with two seeds, takes each one's best checkpoint of the validation split, and asks it about
# the test split: weights without labels, in an order that it is not told.


# %%
def command(*words):
    """Run an inrzoo command and print what it says."""
    print("$ inrzoo", *words)
    line = [sys.executable, "-m", "inrzoo", "--quiet", *words]
    done = subprocess.run(line, capture_output=True, text=True)
    print(done.stdout + done.stderr)


RUN = ["leaderboard", "run", "digits_shared.toml", "--seeds", "2"]
command(*RUN, "--encoder", "reader:Reader", "--set", "encoder.width=128")

# %% [markdown]
# In Python it is a function. The run is there already, so this call only reads it:

# %%
from inrzoo.trust import trust

TASK, STORE = "digits_shared.toml", "digits_shared.zarr"
reader = trust("encoders", "reader:Reader")  # names a class of yours, once in a process
settings = {"encoder.width": 128}
run = Path("digits_shared.Reader")
row = leaderboard.run(TASK, reader, STORE, run, seeds=2, settings=settings, quiet=True)
print(f"{row.mean:.1f} ± {row.interval:.1f} %, each seed {row.scores}")
print(f"{row.parameters:,} parameters, {row.multiply_adds:,} multiply-adds an INR")
print("its file has sha256", row.code_sha256[:12])
assert row.mean > 60

# %% [markdown]
# ## The row
#
# `submit` measures every checkpoint again before the row joins a board, which is a folder of JSON files. `show`
# renders it; with `--format hub` as the files that [the Hub's own leaderboards](../hub.md) read.

# %%
leaderboard.submit(run, STORE, Path("board"), task=TASK)
print(leaderboard.as_markdown(leaderboard.read_results(Path("board"))))

# %% [markdown]
# ## Predictions that were made elsewhere
#
# A program that is no encoder of inrzoo answers the evaluator's questions itself. Here it is scikit-learn's
# logistic regression:

# %%
from sklearn.linear_model import LogisticRegression

from inrzoo.leaderboard import Evaluator

evaluator = Evaluator(TASK, STORE)
train = evaluator.training()[:]  # weights and labels; the test split has weights alone
model = LogisticRegression(max_iter=1000).fit(100 * train.weights, train.label)
answers = model.predict(100 * evaluator.questions()["test"])
print(evaluator.score({"test": answers}))

# %% [markdown]
# ## What is refused
#
# Three plants. The first encoder opens the labels of the store when it answers. The second compares each INR with
# the first of its batch, so that its answers depend on what else is asked. The third is honest, and is given another
# store.

# %%
Path("plants.py").write_text("""
from reader import Reader


class Thief(Reader):
    def forward(self, weights):
        if not self.training:
            open("digits_shared.zarr/label/c/0", "rb").read()
        return super().forward(weights)


class Comparer(Reader):
    def forward(self, weights):
        return super().forward(weights - weights[:1])
""")


# %%
def attempt(encoder, store):
    """Run an encoder on a store and print why it was refused."""
    name, out = trust("encoders", encoder), Path(encoder.replace(":", "_"))
    try:
        few = {"steps": 20}
        leaderboard.run(TASK, name, store, out, seeds=1, settings=few, quiet=True)
    except inrzoo.errors.InrzooError as error:
        print(f"{encoder}:", str(error).replace(f"{folder.resolve()}/", ""), "\n")
        return
    raise AssertionError(f"{encoder} was scored")


attempt("plants:Thief", STORE)
attempt("plants:Comparer", STORE)
inrzoo.subset(STORE, out="other.zarr", signals=slice(0, 500))
attempt("reader:Reader", "other.zarr")

# %% [markdown]
# What no machine sees is a network that learned the test labels by heart in its training. That is why a row holds
# the sha256 of the encoder's file: whoever doubts it reads the code and runs the command beside it.
#
# [Your own encoder](../own_encoder.md) has the rest: what an encoder may declare, how a row is published, and what a
# benchmark of yours needs.
