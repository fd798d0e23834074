"""Writes the card of a trained encoder from what its `config.json` records."""

import json
from collections.abc import Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from inrzoo.hub.header import TAG
from inrzoo.hub.markdown import code, fenced, one_line, python, table, text


def encoder_card(config: Mapping[str, Any], repo_id: str, options: str, row: Mapping[str, str] | None = None) -> str:
    """Return the README.md of a trained encoder.

    Args:
        config: the table of `config.json`.
        repo_id: `USER/NAME`.
        options: the options of the run as TOML, as `inrzoo train --config` reads them.
        row: facts of its row on the leaderboard, by name; the encoder is that of the first training seed.
    """
    notes, encoder = config["notes"], one_line(config["encoder"]["name"])
    task = str(config["task"]["name"]).replace("_", "-")
    named = config["store"].get("named") or "STORE"
    sections = [
        f"# {text(encoder)}, trained by {text(task)} on {text(notes.get('title') or notes.get('dataset') or 'INRs')}",
        "An encoder of the weights of implicit neural representations: flat weight vectors come in, features go out. "
        "It reads INRs of the conventions below alone; `check` compares a store with them.",
        f"## Use it\n\n{_loading(repo_id, named)}",
        f"## Measured\n\n{_measured(config)}",
        *([f"## Leaderboard\n\n{_row(row)}"] if row else []),
        f"## INRs that it reads\n\n{_conventions(config)}",
        f"## How it was trained\n\n{_training(config, task, named, options)}",
        "## Limitations\n\nThe numbers under Measured are of the validation split of the store that it was trained "
        "on, at the step that was best there; they are no test results. INRs that were fitted with other settings have "
        "other features, even if they are of the same signals.",
    ]
    return f"---\n{_header(config, repo_id, encoder)}\n---\n\n" + "\n\n".join(sections) + "\n"


def _header(config: Mapping[str, Any], repo_id: str, encoder: str) -> str:
    notes, url = config["notes"], str(config["store"].get("url", ""))
    dataset = url.removeprefix("hf://datasets/").partition("@")[0] if url.startswith("hf://datasets/") else None
    results = [
        EvalResult(
            task_type="feature-extraction",
            dataset_type=dataset or one_line(notes.get("dataset") or "unknown"),
            dataset_name=one_line(notes.get("title") or notes.get("dataset") or "INRs"),
            dataset_split="validation",
            metric_type=one_line(name),
            metric_value=value,
        )
        for name, value in config["measured"].items()
    ]
    data = ModelCardData(
        library_name=TAG,
        tags=[TAG, "implicit-neural-representations", "weight-space-learning", encoder],
        datasets=[dataset] if dataset else None,
        model_name=repo_id.split("/")[1],
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _loading(repo_id: str, named: str) -> str:
    lines = f"""import torch

import inrzoo

encoder = inrzoo.load_encoder({python(repo_id)})
store = inrzoo.open_store({python(named)})
encoder.check(store)
features = encoder(torch.from_numpy(store.weights[:100, 0, -1]))"""
    return fenced(lines, "python")


def _measured(config: Mapping[str, Any]) -> str:
    rows = [(code(name), f"{value:.4g}") for name, value in config["measured"].items()]
    if not rows:
        return "The run has no record of its validations."
    return f"At step {config['step']:,}, on the validation split:\n\n{table(('number', 'value'), rows)}"


def _row(row: Mapping[str, str]) -> str:
    rows = [(text(name), code(value)) for name, value in row.items()]
    return (
        "The score is the mean over training seeds, on a split that training has not seen; the tensors here are those "
        f"of the first seed.\n\n{table(('', 'value'), rows)}"
    )


def _conventions(config: Mapping[str, Any]) -> str:
    notes = config["notes"]
    rows = {key: json.dumps(value, ensure_ascii=False) for key, value in config["conventions"].items() if key != "fit"}
    rows |= {"grid": json.dumps(notes["grid"])} if notes.get("grid") else {}
    rows |= {"licence of the signals": one_line(notes["licence"])} if notes.get("licence") else {}
    return table(("convention", "value"), ((text(key), text(value)) for key, value in rows.items()))


def _training(config: Mapping[str, Any], task: str, named: str, options: str) -> str:
    pinned = f" It read {code(config['store']['url'])}." if config["store"].get("url") else ""
    command = f"inrzoo train {task} {named} --config run.toml"
    return f"{fenced(command, 'bash')}\n\n`run.toml` is:{pinned}\n\n{fenced(options, 'toml')}"
