"""GINR-IPC's Table 3: a wider INR, and more weight tokens. The paper's images are FFHQ at 256×256, these CIFAR-10's.

Command:  python pipelines/hypernetworks_table_3.py
Needs:    CIFAR-10, fetched unless INRZOO_CIFAR10 names its files. INRZOO_SCALE: tiny|small|full.
Hardware: small: one CPU core. "full" is the paper's networks on these images, for a GPU.
Duration: small: an hour of CPU; what is there stays, the same command continues.
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

NARROW, WIDE, FREQUENCIES = {"tiny": (8, 16, 4), "small": (32, 128, 16), "full": (256, 1024, 64)}[SCALE]
FEW, MANY = {"name": "trans_inr", "groups": NARROW // 4}, {"name": "trans_inr", "groups": NARROW}
ROWS = [  # d, hypernetwork, the paper's number at 256×256
    (NARROW, f"TransINR, {FEW['groups']} groups", FEW, 30.96),
    (NARROW, f"GINR-IPC, r = {NARROW}", {"name": "instance_patterns", "rank": NARROW}, 34.68),
    (WIDE, f"TransINR, {FEW['groups']} groups", FEW, 33.83),
    (WIDE, f"TransINR, {MANY['groups']} groups", MANY, 36.50),
    (WIDE, f"GINR-IPC, r = {NARROW}", {"name": "instance_patterns", "rank": NARROW}, 38.43),
    (WIDE, f"GINR-IPC, r = {WIDE}", {"name": "instance_patterns", "rank": WIDE}, 40.37),
]

signals = photographs()
page = Comparison(DOCUMENT, "GINR-IPC Table 3: width and weight tokens", ["PSNR", MINUTES], decimals=2)
found = {}
for width, name, hypernet, theirs in ROWS:
    inr, tokens = perceptron(width, FREQUENCIES), {**hypernet, **TOKENS}
    task = Hypernetwork(inr=inr, hypernet=tokens, **STEP, **TRAINING, test_tto_steps=0)
    row = f"d = {width}, {name}"
    run = OUT / "table_3" / row.replace(", ", "-").replace(" ", "").replace("=", "")
    found[row], ours = trained(task, signals, run)
    page.add(row, ours, (theirs, None))
ginr, wide = f"d = {WIDE}, GINR-IPC, r = {WIDE}", f"d = {WIDE}, GINR-IPC, r = {NARROW}"
for better, worse in [
    (wide, f"d = {NARROW}, GINR-IPC, r = {NARROW}"),
    (ginr, wide),
    (wide, f"d = {WIDE}, {ROWS[3][1]}"),
]:
    check(page, f"{better} is above {worse}", found[better]["PSNR"], found[worse]["PSNR"])
page.write(
    f"Scale `{SCALE}`: {STEPS:,} steps of 16 images by Muon at {STEP['lr']:g}, ReLU MLP of five maps, PSNR "
    f"in dB of {TESTED} test images of CIFAR-10, {intervals('images')}, no verdicts below {SHARP:g}. "
    "The paper's are of FFHQ at 256×256, d = 256 and 1024."
)
