"""Figure 4 of the few-shot paper: more shots in an episode, one network trained 5-way 5-shot.

Command:  python pipelines/few_shot_figure_4.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small". docs/few_shot.md and the durations were measured on a subset of Omniglot:
          the 242 characters of the archives images_background_small1/2.
Duration: small: 35 minutes to fit on one core, 5 to train; what is there stays.
Expected: docs/few_shot.md.
"""

from itertools import pairwise

from omniglot import COMPLEXITY, DOCUMENT, OUT, TRAINING, VIEWS, fitted
from script import SCALE, begin

from inrzoo.tasks import Comparison, draw_lines, evaluate, measure
from inrzoo.tasks.few_shot import FewShot

begin(__doc__)

store = fitted(COMPLEXITY)

SHOTS = (1, 2, 3, 5, 10, 15)
WAYS = ("5-way", "10-way")

page = Comparison(DOCUMENT, f"Figure 4: shots ({COMPLEXITY})", WAYS)
run = OUT / "runs" / f"{COMPLEXITY}-transformer"
measure(FewShot(view=VIEWS[2], **TRAINING), store, run)
# 20 drawings of a character: 15 to learn from leave 5 to ask for.
found = {one.name: one for one in evaluate(run, store, test_shots=SHOTS, test_query=5)}
for shot in SHOTS:
    page.add(f"{shot} shots", {way: found[f"{way} {shot}-shot"] for way in WAYS})
for fewer, more in pairwise(SHOTS):
    page.check(f"{more} shots are above {fewer}", found[f"5-way {more}-shot"], found[f"5-way {fewer}-shot"])
picture = DOCUMENT.with_name(f"few_shot_figure_4_{COMPLEXITY}.png")
lines = {way: {shot: found[f"{way} {shot}-shot"] for shot in SHOTS} for way in WAYS}
draw_lines(picture, lines, "shots", "accuracy in percent")
page.write(
    f"Scale `{SCALE}`, {COMPLEXITY}-complexity INRs. Accuracy in percent on the test alphabets, 95 % intervals.",
    "The paper shows curves and no numbers.",
    "",
    f"![accuracy against shots]({picture.name})",
)
