"""Benchmarks on the Hub: `eval.yaml` beside a dataset declares one, `.eval_results/*.yaml` beside a model is its score.

Formats: https://huggingface.co/docs/hub/eval-results. Results are written by the classes of `huggingface_hub`; for
`eval.yaml` it has none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from huggingface_hub import EvalResultEntry, HfApi, eval_result_entries_to_yaml
from huggingface_hub.utils import yaml_dump

from inrzoo.errors import InrzooError
from inrzoo.hub.branch import Branch
from inrzoo.hub.errors import explained, status_of
from inrzoo.hub.header import TAG
from inrzoo.interchange.parquet import split_name

BENCHMARK = "eval.yaml"
"""File name, at the root of a dataset, of its benchmark tasks."""
RESULTS = ".eval_results"
"""Folder of a model's scores."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a model reaches in a task of a dataset.

    Attributes:
        dataset: `USER/NAME` of the dataset.
        revision: its commit; None if it is not known.
        task: name of the task in the dataset's `eval.yaml`.
        value: the score.
        notes: one line on how it was measured.
    """

    dataset: str
    revision: str | None = None
    task: str
    value: float
    notes: str


def benchmark_yaml(name: str, description: str, splits: Mapping[str, str]) -> bytes:
    """Return the `eval.yaml` of a dataset that `push` publishes.

    Args:
        name: of the benchmark, for people.
        description: what it measures.
        splits: name of a task -> the split that is measured.

    Example:
        >>> from inrzoo.hub.evaluation import benchmark_yaml
        >>> print(benchmark_yaml("Digits", "Accuracy.", {"digits": "test"}).decode(), end="")
        name: Digits
        description: Accuracy.
        evaluation_framework: inrzoo
        tasks:
        - id: digits
          config: default
          split: test
    """
    tasks = [{"id": task, "config": "default", "split": split_name(split)} for task, split in splits.items()]
    table = {"name": name, "description": description, "evaluation_framework": TAG, "tasks": tasks}
    return yaml_dump(table).encode()


def results_yaml(scores: Sequence[Score]) -> bytes:
    """Return a file of `.eval_results/`.

    Example:
        >>> from inrzoo.hub.evaluation import Score, results_yaml
        >>> score = Score(dataset="ada/digits", task="digits", value=97.5, notes="accuracy")
        >>> print(results_yaml([score]).decode(), end="")
        - dataset:
            id: ada/digits
            task_id: digits
          value: 97.5
          notes: accuracy
    """
    entries = [
        EvalResultEntry(
            dataset_id=score.dataset,
            task_id=score.task,
            value=score.value,
            dataset_revision=score.revision,
            notes=score.notes,
        )
        for score in scores
    ]
    return yaml_dump(eval_result_entries_to_yaml(entries)).encode()


def push_benchmark(repo_id: str, content: bytes) -> str:
    """Declare a published dataset a benchmark by its `eval.yaml`, unless it has this one.

    The file is a commit of its own after the version, because the Hub checks it: a refused one leaves the version.

    Args:
        repo_id: `USER/NAME`.
        content: as `benchmark_yaml` returns it.

    Returns:
        URL of the file.

    Raises:
        InrzooError: the Hub refuses the file, or cannot be reached.
    """
    with explained(repo_id):
        try:
            Branch(repo_id, "main").commit_contents({BENCHMARK: content}, "Declare the benchmark")
        except Exception as error:
            if status_of(error) not in (400, 422):
                raise
            reason = " ".join(str(error).split())[-200:]
            raise InrzooError(
                f"the data of {repo_id} are published, and the Hub refused {BENCHMARK}, which declares the benchmark: "
                f"{reason}"
            ) from None
    return f"{HfApi().endpoint}/datasets/{repo_id}/blob/main/{BENCHMARK}"
