"""Published accuracies of encoders beside their rows of the leaderboard, and what differs.

Command:  python pipelines/leaderboard_published.py     Duration: a second.
Needs:    the rows in benchmarks/leaderboard/, which pipelines/leaderboard.py measures. INRZOO_DOCUMENT is the page.
Expected: docs/leaderboard.md, section "Published encoders"; a test says so when a row has changed since.
"""

from dataclasses import dataclass
from pathlib import Path

from script import begin, folders

from inrzoo.leaderboard import Result, read_results
from inrzoo.tasks import write_section
from inrzoo.tasks.reporting.tables import table

begin(__doc__)

ROOT = Path(__file__).parents[1]
_, PAGE = folders("out", str(ROOT / "docs" / "leaderboard.md"))
SCALE_GMN = "Kalogeropoulos et al. 2024, arXiv 2406.10685, Table 1"
ALL_DIGITS = "55,000 SIRENs of DWSNets' convention, one of a digit"


@dataclass(frozen=True)
class Published:
    """An accuracy in percent of MNIST digits that was published for an encoder.

    Attributes:
        encoder: name of ours.
        task: the benchmark task whose INRs were fitted by the same convention.
        accuracy: as printed.
        source: where it is printed.
        data: what was trained on there.
        differs: what differs beside the number of INRs and of steps, and the size of the network.
    """

    encoder: str
    task: str
    accuracy: str
    source: str
    data: str
    differs: str = ""


PUBLISHED = [
    Published("dws", "mnist_dws", "85.71", "Navon et al. 2023, arXiv 2301.12780", ALL_DIGITS),
    Published("neural_graph", "mnist_dws", "91.4", "Kofinas et al. 2024, arXiv 2403.12143, the GNN", ALL_DIGITS),
    Published("scale_gmn", "mnist_dws", "96.59", f"{SCALE_GMN}, ScaleGMN-B", ALL_DIGITS, "phases are canonical"),
    Published(
        "nft", "mnist_random", "98.5", "Zhou et al. 2023, arXiv 2305.13546, INR2ARRAY",
        "SIRENs of NFN's convention, several of a digit", "arrays learned by an autoencoder are read",
    ),
    Published(
        "relational_transformer", "mnist_random", "95.16", "the contrastive paper, Table 2",
        "30 SIRENs of a digit, of NFN's settings",
    ),
]  # fmt: skip


def best(results: list[Result], encoder: str, task: str) -> Result | None:
    """Return the best row of an encoder in a task, if it has one; results are sorted by their mean."""
    return next((row for row in results if row.task == task and row.encoder["name"] == encoder), None)


results = read_results(ROOT / "benchmarks" / "leaderboard")
rows = []
for one in PUBLISHED:
    row = best(results, one.encoder, one.task)
    if row is None:
        continue
    here = f"{row.mean:.1f} ± {row.interval:.1f}" if row.interval is not None else f"{row.mean:.1f}"
    trained = f"{row.training_inrs:,} INRs of `{one.task}`, {row.steps:,} steps, {row.parameters:,} parameters"
    published = f"{one.accuracy} ({one.source})"
    rows.append([f"`{one.encoder}`", published, one.data, here, trained, one.differs])
words = [
    "No row here repeats a published training: on a core the sets are smaller, trainings are minutes, and networks are",
    "narrower. The columns say what differs; they are no comparison. Settings of a row's command are what was made",
    "smaller: without them the encoder has its published size. INRs of `mnist_random` are NFN's, by larger steps.",
]
heads = ["encoder", "published, %", "trained there on", "here, %", "trained here on", "differs, too"]
write_section(PAGE, "Published encoders", [*words, "", *table(heads, rows)])
print(f"{PAGE.name}: {len(rows)} encoders")
