"""Figure 3 of the few-shot paper: one to five views of each signal, as training samples and in the support.

Command:  python pipelines/few_shot_figure_3.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small". docs/few_shot.md and the durations were measured on a subset of Omniglot:
          the 242 characters of the archives images_background_small1/2.
Duration: small: 35 minutes to fit on one core, 25 to train; what is there stays.
Expected: docs/few_shot.md.
"""

from omniglot import COMPLEXITY, DOCUMENT, OUT, TRAINING, VIEWS, fitted
from script import SCALE, begin

from inrzoo.tasks import Comparison, draw_lines, measure
from inrzoo.tasks.few_shot import FewShot

begin(__doc__)

store = fitted(COMPLEXITY)

COLUMNS = ["5-way 5-shot", "10-way 5-shot", "20-way 5-shot"]
ORDER = [VIEWS[place] for place in (2, 1, 3, 0, 4)]  # which views there are with one, two, …

page = Comparison(DOCUMENT, f"Figure 3: views ({COMPLEXITY})", COLUMNS)
found = {}
for count in (1, 2, 3, 5):
    for use in ("training", "both"):
        if count == 1 and use == "both":
            continue
        task = FewShot(
            view=VIEWS[2],
            views=tuple(sorted(ORDER[:count])),
            view_use=use,
            mixtures=0.0,
            **TRAINING,
            test_ways=(5, 10, 20),
            test_shots=(5,),
        )
        found[count, use] = measure(task, store, OUT / "runs" / f"{COMPLEXITY}-{count}-views-{use}")
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
    f"Scale `{SCALE}`, {COMPLEXITY}-complexity INRs. Accuracy in percent on the test alphabets, 95 % intervals.",
    "",
    f"![accuracy against views]({picture.name})",
)
