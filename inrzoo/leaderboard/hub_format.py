"""The board in the Hub's own format: `eval.yaml` for a dataset, `.eval_results/TASK.yaml` for a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from inrzoo.addresses import REPOSITORY
from inrzoo.errors import InrzooError
from inrzoo.leaderboard.definition import BenchmarkTask
from inrzoo.leaderboard.result import Result
from inrzoo.leaderboard.running import file_name

if TYPE_CHECKING:
    from inrzoo.hub.evaluation import Score

ADDRESS = re.compile(rf"(?P<repo>{REPOSITORY.pattern})(@(?P<commit>[0-9a-f]{{40}}))?", re.ASCII)
"""A dataset on the Hub, with its commit if that is known."""


def benchmark_file(tasks: Sequence[BenchmarkTask]) -> bytes:
    """Return the `eval.yaml` of the dataset that has the store of these tasks.

    Example:
        >>> from inrzoo.leaderboard import benchmark_file, find
        >>> print(benchmark_file([find("mnist_random")]).decode().partition("description")[0], end="")
        name: MNIST digits from the weights of SIRENs 2/32/32/1, random starts, one fit a digit
    """
    from inrzoo.hub.evaluation import benchmark_yaml

    texts = [f"{task.name}: {task.title}; {task.measure} of {task.split}. {task.rule}" for task in tasks]
    return benchmark_yaml(tasks[0].title, "\n".join(texts), {task.name: task.split for task in tasks})


def results_file(results: Sequence[Result], dataset: str) -> bytes:
    """Return the `.eval_results/TASK.yaml` of a model: the rows of one task.

    The value of a row is that of the board, the mean over training seeds; the notes say so.

    Args:
        results: the rows.
        dataset: `USER/NAME` of the dataset on the Hub that has the store, with `@COMMIT` if that is known.

    Raises:
        InrzooError: the dataset's name is malformed.
    """
    from inrzoo.hub.evaluation import results_yaml

    repo_id, commit = parsed(dataset)
    return results_yaml([_score(result, repo_id, commit) for result in results])


def hub_files(results: Sequence[Result], datasets: Sequence[tuple[BenchmarkTask, str]]) -> dict[str, bytes]:
    """Return the board as files to push, by path.

    They are `datasets/USER/NAME/eval.yaml` and `models/MODEL/.eval_results/TASK.yaml`;
    MODEL is the `USER/NAME` of a row that has been pushed, else the row's name.

    Args:
        results: the rows; those of other tasks are left out.
        datasets: benchmark tasks, and `USER/NAME` of the dataset that has the store, with `@COMMIT` if that is known.

    Raises:
        InrzooError: a dataset's name is malformed, or a row was measured on another store than its task pins.
    """
    from inrzoo.hub.evaluation import BENCHMARK

    together: dict[str, list[BenchmarkTask]] = {}
    rows: dict[tuple[str, str], list[Result]] = {}
    for task, dataset in datasets:
        together.setdefault(parsed(dataset)[0], []).append(task)
        for result in results:
            if result.task != task.name:
                continue
            if result.content_sha256 != task.content_sha256:
                raise InrzooError(
                    f"the row {result.name} of {task.name} was measured on another store than the task pins now; "
                    "run it again, or take it off the board"
                )
            model = result.model or file_name(result).lstrip(".")
            rows.setdefault((f"models/{model}/{results_path(result)}", dataset), []).append(result)
    files = {f"datasets/{repo_id}/{BENCHMARK}": benchmark_file(tasks) for repo_id, tasks in together.items()}
    return files | {path: results_file(each, dataset) for (path, dataset), each in rows.items()}


def results_path(result: Result) -> str:
    """Return the path, in the repository of a model, of the file with a row of the task."""
    from inrzoo.hub.evaluation import RESULTS

    return f"{RESULTS}/{re.sub(r'[^A-Za-z0-9_.-]', '-', result.task)}.yaml"


def row_facts(result: Result) -> dict[str, str]:
    """Return what a row says, by name, for the card of its model."""
    seeds = ", ".join(f"{score:.2f}" for score in result.scores)
    interval = "" if result.interval is None else f" ± {result.interval:.2f}"
    return {
        "task": result.task,
        "score": f"{result.measure} {result.mean:.2f}{interval}",
        "each training seed": seeds,
        "reads": f"the {result.reads}",
        "command": result.command,
        "sha256 of the store's content": result.content_sha256,
        "sha256 of the encoder's code": result.code_sha256,
    }


def parsed(dataset: str) -> tuple[str, str | None]:
    """Return name and commit of `USER/NAME` or `USER/NAME@COMMIT`.

    Raises:
        InrzooError: it is neither.

    Example:
        >>> from inrzoo.leaderboard.hub_format import parsed
        >>> parsed("ada/digits")
        ('ada/digits', None)
    """
    match = ADDRESS.fullmatch(dataset)
    if match is None:
        raise InrzooError(
            f"{dataset} is not a dataset on the Hub; expected USER/NAME, or USER/NAME@COMMIT with all 40 digits"
        )
    return match["repo"], match["commit"]


def _score(result: Result, dataset: str, commit: str | None) -> Score:
    from inrzoo.hub.evaluation import Score

    seeds, interval = len(result.seeds), "" if result.interval is None else f" ± {result.interval:.2f}"
    over = f"mean of {seeds} training seeds{interval}" if seeds > 1 else "one training seed"
    notes = f"{result.measure}, {over}; reads the {result.reads}; {result.command}"
    return Score(dataset=dataset, revision=commit, task=result.task, value=round(result.mean, 2), notes=notes)
