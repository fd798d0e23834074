"""Figure 3 of the few-shot paper: one to five views of each signal, as training samples and in the support.

Command:  python pipelines/few_shot_figure_3.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small", with short fits of all 1,623 characters; one GPU for "full".
Duration: small: that of Table 2 for a store of its own, and 3 trainings a row; what is there stays.
Expected: docs/few_shot.md.
"""

from few_shot import DOCUMENT, explained, ours
from omniglot import COMPLEXITY, DATA, VIEWS, fitted
from script import begin

from inrzoo.tasks import Comparison, draw_lines

begin(__doc__)

# Snapshots and a stop at a PSNR exclude each other: this store is another one than that of the tables.
store = fitted(COMPLEXITY, "views", {"fit.views": VIEWS, "fit.steps": max(VIEWS), "fit.stop_psnr": None})

COLUMNS = ["5-way 5-shot", "10-way 5-shot", "20-way 5-shot"]
ORDER = [VIEWS[place] for place in (2, 1, 3, 0, 4)]  # which views there are with one, two, …

page = Comparison(DOCUMENT, f"Figure 3: views ({COMPLEXITY})", COLUMNS)
found = {}
for count in (1, 2, 3, 5):
    for use in ("training", "both"):
        if count == 1 and use == "both":
            continue
        found[count, use] = ours(
            store,
            f"{COMPLEXITY}-{count}-views-{use}",
            view=VIEWS[2],
            views=tuple(sorted(ORDER[:count])),
            view_use=use,
            mixtures=0.0,
            test_ways=(5, 10, 20),
            test_shots=(5,),
        )
        page.add(f"{count} view(s), {use}", found[count, use])
for column in COLUMNS:
    page.check("five views to train on are above one", found[5, "training"][column], found[1, "training"][column])
    page.check("five in the support too are above one", found[5, "both"][column], found[1, "training"][column])
picture = DOCUMENT.with_name(f"few_shot_figure_3_{COMPLEXITY}.png")
lines = {
    f"{column}, views in {use}": {count: of[column] for (count, used), of in found.items() if used == use or count == 1}
    for column in COLUMNS
    for use in ("training", "both")
}
draw_lines(picture, lines, "views", "accuracy in percent")
page.write(
    "The paper shows curves and no numbers. No mixtures of classes here, so that views are all that differs.",
    *explained(DATA),
    f"Views after {', '.join(map(str, VIEWS))} steps.",
    "",
    f"![accuracy against views]({picture.name})",
)
