"""What held of the papers' findings: every verdict of the measured pages on one page.

Command:  python pipelines/findings.py     Duration: a second.
Needs:    the pages of docs/, whose scripts wrote the verdicts. INRZOO_DOCUMENT is the page that is written.
Expected: docs/findings.md; a test says so when a page has changed since.
"""

import re
from pathlib import Path

from script import begin, folders

begin(__doc__)

DOCS = Path(__file__).parents[1] / "docs"
_, PAGE = folders("out", str(DOCS / "findings.md"))
PAPERS = {
    "few_shot": "On the few-shot generalization of learning on implicit neural representations (Hu et al. 2023)",
    "contrastive": "Contrastive learning on implicit neural representations",
    "hypernetworks": "TransINR (Chen & Wang 2022) and GINR-IPC (Kim et al. 2023); stores that they make (ours)",
    "novel_views": "TransINR and GINR-IPC on views of objects",
    "end_to_end": "End-to-end implicit neural representations for classification (Gielisse & van Gemert 2025)",
    "learning_curves": "Data for readers of weights (ours)",
    "recipes": "What settings of fits cost or gain readers (ours)",
}
VERDICT = re.compile(r"^\* (.*): \*\*(held|not held|undecided)\*\* \((.*)\)$")
HEAD = """# Findings

Each claim that was tested, and whether it held: the first of two numbers is what should be larger. A difference beyond
its 95 % interval is *held* or *not held*, another one *undecided*. Unless a row says otherwise it is one training, and
the interval covers test signals or episodes, not training seeds: read a narrow verdict with that in mind. Those of the
last two parts, of shapes, of views and of hypernetworks (but for their Figure 9) are of three training seeds. Recipes
and data differ from the papers' as the linked sections say. `python pipelines/findings.py` collects this page from
theirs.
"""
lines = HEAD.splitlines()

for page, paper in PAPERS.items():
    section, rows = "", []
    for line in (DOCS / f"{page}.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        if verdict := VERDICT.match(line):
            anchor = re.sub(r"[^\w\- ]", "", section.lower()).replace(" ", "-")
            rows.append((f"[{section}]({page}.md#{anchor})", *verdict.groups()))
    counts = {name: sum(row[2] == name for row in rows) for name in ("held", "not held", "undecided")}
    summary = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    lines += ["", f"## {paper}", "", f"{summary}.", "", "| section | claim | verdict | numbers |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]

PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
print(f"{PAGE.name}: {sum(line.startswith('| [') for line in lines)} verdicts")
