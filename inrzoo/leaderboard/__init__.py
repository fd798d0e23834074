"""The benchmark: a pinned store and an encoder come in, scores of predictions and a board of results go out.

A benchmark task pins a store to the bit, a split and a measure (`definition`). The `evaluator` alone sees the labels of
the test split; it is given answers. `run` trains an encoder with several seeds and writes one JSON (`result`); `board`
renders all results, and `hub_format` writes them as the Hub reads them. A task is one file in `manifests/leaderboard/`.
"""

from inrzoo.leaderboard.board import as_html, as_markdown, read_results
from inrzoo.leaderboard.definition import BenchmarkTask, content_sha256, find, names
from inrzoo.leaderboard.evaluator import Evaluator
from inrzoo.leaderboard.hub_format import benchmark_file, hub_files, results_file, results_path, row_facts
from inrzoo.leaderboard.result import Result
from inrzoo.leaderboard.running import RESULT, Plan, plan, run, submit

__all__ = [
    "RESULT",
    "BenchmarkTask",
    "Evaluator",
    "Plan",
    "Result",
    "as_html",
    "as_markdown",
    "benchmark_file",
    "content_sha256",
    "find",
    "hub_files",
    "names",
    "plan",
    "read_results",
    "results_file",
    "results_path",
    "row_facts",
    "run",
    "submit",
]
