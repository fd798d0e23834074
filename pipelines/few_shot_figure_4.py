"""Figure 4 of the few-shot paper: more shots in an episode, one network trained 5-way 5-shot.

Command:  python pipelines/few_shot_figure_4.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small", with short fits of all 1,623 characters; one GPU for "full".
Duration: small: that of Table 2, which has the same runs; what is there stays.
Expected: docs/few_shot.md.
"""

from itertools import pairwise

from few_shot import DOCUMENT, OUT, SEEDS, explained, ours
from omniglot import COMPLEXITY, DATA, fitted
from script import begin

from inrzoo.tasks import Comparison, draw_lines, evaluate, over_runs

begin(__doc__)

store = fitted(COMPLEXITY)

SHOTS = (1, 2, 3, 5, 10, 15)
WAYS = ("5-way", "10-way")

page = Comparison(DOCUMENT, f"Figure 4: shots ({COMPLEXITY})", WAYS)
run = f"{COMPLEXITY}-transformer"
ours(store, run)
# 20 drawings of a character: 15 to learn from leave 5 to ask for.
of_seed = [evaluate(OUT / "runs" / run / f"seed-{seed}", store, test_shots=SHOTS, test_query=5) for seed in SEEDS]
found = over_runs([{one.name: one for one in measurements} for measurements in of_seed])
for shot in SHOTS:
    page.add(f"{shot} shots", {way: found[f"{way} {shot}-shot"] for way in WAYS})
for fewer, more in pairwise(SHOTS):
    page.check(f"{more} shots are above {fewer}", found[f"5-way {more}-shot"], found[f"5-way {fewer}-shot"])
picture = DOCUMENT.with_name(f"few_shot_figure_4_{COMPLEXITY}.png")
lines = {way: {shot: found[f"{way} {shot}-shot"] for shot in SHOTS} for way in WAYS}
draw_lines(picture, lines, "shots", "accuracy in percent")
page.write(
    *explained(DATA),
    "The paper shows curves and no numbers.",
    "",
    f"![accuracy against shots]({picture.name})",
)
