"""The value of each part of hypernetworks: TransINR's Table 2, GINR-IPC's Tables 6 (modulation) and 7 (location).

Command:  python pipelines/hypernetworks_ablations.py
Needs:    CIFAR-10, fetched unless INRZOO_CIFAR10 names its files. INRZOO_SCALE: tiny|small|full.
Hardware: small: one CPU core. "full" is the papers' networks on these images, for a GPU.
Duration: small: an hour and a half of CPU; what is there stays, the same command continues.
Expected: docs/hypernetworks.md.
"""

from cifar10 import (
    DOCUMENT,
    MINUTES,
    OUT,
    SHARP,
    STEP,
    STEPS,
    TESTED,
    TOKENS,
    TRAINING,
    check,
    intervals,
    perceptron,
    photographs,
    trained,
)
from script import SCALE, begin

from inrzoo.tasks import Comparison
from inrzoo.tasks.hypernetwork import Hypernetwork

begin(__doc__)

HIDDEN, FREQUENCIES = {"tiny": (32, 4), "small": (64, 16), "full": (256, 64)}[SCALE]
INR = perceptron(HIDDEN, FREQUENCIES)
GINR = {"name": "instance_patterns", "rank": HIDDEN, **TOKENS}
GROUPS = (1, HIDDEN // 16, HIDDEN // 4)
TABLES = {  # title -> (row -> hypernetwork), the paper's numbers of the rows, which row it finds best
    "TransINR Table 2: groups": (
        {f"{groups} group(s)": {"name": "trans_inr", "groups": groups, **TOKENS} for groups in GROUPS},
        (None, None, None),
        f"{HIDDEN // 4} group(s)",
    ),
    "GINR-IPC Table 6: modulation": (
        {
            "V": {**GINR, "modulation": "direct"},
            "U V, both of the signal": {**GINR, "modulation": "own_u"},
            "U ⊙ V": {**GINR, "modulation": "hadamard"},
            "U V": GINR,  # of matrix 2, as the next table's
        },
        (30.01, 32.35, 30.64, 35.93),
        "U V",
    ),
    "GINR-IPC Table 7: location": (
        {f"matrix {layer}": {**GINR, "layer": layer} for layer in (1, 2, 3, 4, 5)} | {"matrix 2": GINR},
        (31.00, 35.93, 32.99, 31.10, 20.26),
        "matrix 2",
    ),
}

signals = photographs()
for title, (rows, paper, best) in TABLES.items():
    page, found = Comparison(DOCUMENT, title, ["PSNR", MINUTES], decimals=2), {}
    for (row, hypernet), theirs in zip(rows.items(), paper, strict=True):
        task = Hypernetwork(inr=INR, hypernet=hypernet, **STEP, **TRAINING, test_tto_steps=0)
        words = "-".join(str(hypernet.get(key, "")) for key in ("name", "groups", "modulation", "layer"))
        found[row], ours = trained(task, signals, OUT / "ablations" / words)
        page.add(row, ours, (theirs, None))
    for row in rows:
        if row != best:
            check(page, f"{best} is above {row}", found[best]["PSNR"], found[row]["PSNR"])
    page.write(
        f"Scale `{SCALE}`: {STEPS:,} steps of 16 images by Muon at {STEP['lr']:g}, ReLU MLP of five maps with {HIDDEN} "
        f"neurons, PSNR in dB of {TESTED} test images of CIFAR-10, {intervals('images')}, no verdicts on rows below "
        f"{SHARP:g}. The papers' are of other images at 178×178. Matrix 5 is the output layer."
    )
