"""Steps that several batches or processes share: together they are a step with one large batch."""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from test_training_loop import files

from inrzoo import registry, tasks
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError, Terminated
from inrzoo.loaders import load
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.contract import Task
from inrzoo.tasks.training import processes
from inrzoo.tasks.training.batches import Share, TrainingBatches, sharing
from inrzoo.tasks.training.options import make_task

DROPPING = {"name": "layer_transformer", "hidden_features": 16, "num_layers": 1, "dropout": 0.2}
FLAT = {"name": "flat_mlp", "hidden_features": 16}
OVER_ROUNDING = 1e-5
"""Maximum distance of two gradients that differ by rounding, relative to their length."""


def classify(**fields: object) -> Task:
    """Classification without random draws."""
    base = {"name": "classify", "encoder": FLAT, "augment": (), "warmup": 2, "clip": 0.0, "steps": 6}
    return registry.make("tasks", {**base, "validate_every": 3, **fields})


def hypernetwork(**fields: object) -> Task:
    small = {"hypernet": {"name": "cavia", "rank": 8}, "inr": {"name": "relu_mlp", "hidden_features": 16}}
    return registry.make(
        "tasks", {"name": "hypernetwork", **small, "steps": 3, "validate_every": 3, "clip": 0, **fields}
    )


def few_shot(**fields: object) -> Task:
    base = {"name": "few_shot", "way": 3, "shot": 2, "query": 3, "validation_episodes": 6, "encoder": FLAT}
    quiet = {"mixtures": 0.0, "input_dropout": 0.0, "clip": 0.0, "steps": 3, "validate_every": 3}
    return registry.make("tasks", {**base, **quiet, **fields})


def contrastive(**fields: object) -> Task:
    small = {"encoder": FLAT, "augment": (), "steps": 3, "validate_every": 3, "clip": 0.0, "warmup": 0}
    return registry.make("tasks", {"name": "contrastive", **small, **fields})


@dataclass
class Trained:
    """Folder of a run, gradients of each step, (steps, numbers), and the lines of its metrics."""

    folder: Path
    gradients: torch.Tensor
    metrics: list[dict[str, float]]


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Task, Path], Trained]:
    """Trains in a new folder and records the gradients that the optimiser gets."""
    taken: list[torch.Tensor] = []
    step = torch.optim.AdamW.step

    def recorded(optimiser: torch.optim.AdamW, *args: object) -> object:
        parameters = [each for group in optimiser.param_groups for each in group["params"]]
        taken.append(torch.cat([each.grad.flatten() for each in parameters if each.grad is not None]).clone())
        return step(optimiser, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", recorded)

    def run(task: Task, store: Path) -> Trained:
        taken.clear()
        out = tmp_path / f"run {len(list(tmp_path.iterdir()))}"
        tasks.train(task, store, out, device="cpu", quiet=True)
        lines = (out / "metrics.jsonl").read_text().splitlines()
        return Trained(out, torch.stack(taken), [json.loads(line) for line in lines])

    return run


def require_equal_to_rounding(one: Trained, other: Trained) -> None:
    first, second = one.gradients[0].double(), other.gradients[0].double()
    assert float((first - second).norm() / first.norm()) < OVER_ROUNDING
    assert len(one.gradients) == len(other.gradients) and len(one.metrics) == len(other.metrics)
    for line, same in zip(one.metrics, other.metrics, strict=True):
        assert line == pytest.approx(same, rel=1e-3)


# --- which items -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("devices", "accumulate"), [(2, 1), (1, 2), (2, 2), (3, 1)])
def test_the_batches_of_a_step_are_together_that_of_one_process_with_a_large_batch(
    devices: int, accumulate: int, finished: Path
) -> None:
    dataset, size = load(finished, split="train", normalise="none"), 6
    parts = devices * accumulate
    assert len(dataset) // size % parts, "an epoch of small batches is no whole number of steps"
    large = TrainingBatches(dataset, size * parts, seed=1)
    shares = [Share(rank, devices, accumulate) for rank in range(devices)]
    small = []
    for share in shares:
        with sharing(share):
            small.append(TrainingBatches(dataset, size, seed=1))
    steps = 2 * (len(dataset) // (size * parts)) + 2  # into the third epoch
    expected: dict[int, torch.Tensor] = {}
    for step in (*range(steps), 3, 4):  # the last ones begin anew, as a continued run does
        numbers = [(number, rank) for rank, share in enumerate(shares) for number in share.batches(step)]
        assert sorted(number for number, _ in numbers) == [*range(step * parts, (step + 1) * parts)]
        read = {number: small[rank](number) for number, rank in numbers}
        weights = torch.cat([read[number].weights for number in sorted(read)])
        if step not in expected:
            expected[step] = large(step).weights
        assert torch.equal(weights, expected[step])


def test_more_items_than_there_are_is_one_line(finished: Path, tmp_path: Path) -> None:
    message = r"batch_size = 16, 8 times in a step, is more than the \d+ items of the training split"
    with pytest.raises(InrzooError, match=message):
        tasks.train(classify(batch_size=16, accumulate=8), finished, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


# --- accumulation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "field"), [(classify, "batch_size"), (hypernetwork, "batch"), (few_shot, "episodes_per_step")]
)
def test_accumulated_batches_are_one_large_batch_to_rounding(
    make: Callable[..., Task], field: str, finished: Path, characters: Path, trained: Callable[[Task, Path], Trained]
) -> None:
    store = characters if make is few_shot else finished
    large, parts = trained(make(**{field: 4}), store), trained(make(**{field: 1}, accumulate=4), store)
    require_equal_to_rounding(large, parts)


def test_an_accumulating_run_continues_to_the_bit(finished: Path, tmp_path: Path) -> None:
    task = classify(batch_size=4, accumulate=3, encoder=DROPPING, steps=7)
    tasks.train(task, finished, tmp_path / "whole", device="cpu", quiet=True)
    for steps in (2, 3):
        torch.rand(3)
        tasks.train(task, finished, tmp_path / "parts", device="cpu", quiet=True, stop_after=steps)
    tasks.train(task, finished, tmp_path / "parts", device="cpu", quiet=True)
    whole, parts = (network(tmp_path / name) for name in ("whole", "parts"))
    assert whole == parts


def network(folder: Path) -> dict[str, object]:
    """What a run leaves, but for the generator of numbers, on which no batch of several depends."""
    return {key: value for key, value in files(folder).items() if not key.startswith("last random")}


def test_what_the_fields_say_is_recorded_and_another_number_of_batches_is_another_run(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    tasks.train(classify(batch_size=4, accumulate=2), finished, run, device="cpu", quiet=True, stop_after=3)
    assert read(run / "last.safetensors").task["accumulate"] == 2
    for other in ({}, {"accumulate": 3}, {"devices": 2, "accumulate": 2}):
        with pytest.raises(InrzooError, match=r"holds another run \(.*(accumulate|devices): \d → \d"):
            tasks.train(classify(batch_size=4, **other), finished, run, device="cpu", quiet=True)


def test_contrastive_learning_refuses_to_accumulate() -> None:
    with pytest.raises(InrzooError, match="accumulate = 2 is not allowed; it must be 1: pairs are contrasted with"):
        contrastive(accumulate=2)


def test_batch_norm_over_parts_of_a_step_is_a_warning(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dws = {"name": "dws", "hidden_features": 8, "num_layers": 2}
    task = classify(batch_size=4, accumulate=2, encoder=dws, steps=1)
    with caplog.at_level(logging.WARNING, "inrzoo"):
        tasks.train(task, finished, tmp_path / "run", device="cpu", quiet=True)
    assert "batch norm normalises each of the 2 batches of a step by itself" in caplog.text


@pytest.mark.parametrize("key", ["devices", "accumulate"])
def test_no_device_is_refused(key: str) -> None:
    with pytest.raises(InrzooError, match=f"{key} = 0 is not allowed; it must be at least 1"):
        classify(**{key: 0})


# --- several processes -----------------------------------------------------------------------------------------

# Each of these starts a process, which imports torch.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "field"),
    [(classify, "batch_size"), (few_shot, "episodes_per_step"), (contrastive, "batch_size"), (hypernetwork, "batch")],
)
def test_two_processes_are_one_with_the_double_batch_to_rounding(
    make: Callable[..., Task], field: str, finished: Path, characters: Path, trained: Callable[[Task, Path], Trained]
) -> None:
    store = characters if make is few_shot else finished
    one, two = trained(make(**{field: 8}), store), trained(make(**{field: 4}, devices=2), store)
    require_equal_to_rounding(one, two)


@pytest.mark.slow
def test_random_draws_do_not_depend_on_who_takes_a_batch_and_a_run_continues_on_other_devices(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, trained: Callable[[Task, Path], Trained]
) -> None:
    fields = {"batch_size": 4, "encoder": DROPPING, "augment": ({"name": "noise"},), "steps": 6}
    alone, shared = classify(accumulate=2, **fields), classify(devices=2, **fields)
    whole = trained(shared, finished)
    require_equal_to_rounding(trained(alone, finished), whole)
    tasks.train(shared, finished, tmp_path / "parts", device="cpu", quiet=True, stop_after=4)
    shutil.copytree(tmp_path / "parts", tmp_path / "moved")
    tasks.train(shared, finished, tmp_path / "parts", device="cpu", quiet=True)
    assert network(whole.folder) == network(tmp_path / "parts")
    with caplog.at_level(logging.INFO, "inrzoo"):
        moved = tasks.train(alone, finished, tmp_path / "moved", device="cpu", quiet=True)
    expected = "continuing with other devices (devices: 2 → 1; accumulate: 1 → 2): the same batches, to rounding"
    assert expected in caplog.text
    assert moved.step == 6 and read(tmp_path / "moved" / "last.safetensors").task["devices"] == 1
    for name, tensor in read(whole.folder).module.items():
        torch.testing.assert_close(read(tmp_path / "moved").module[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The further processes that are started; none is left."""
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(*args: object, **more: object) -> subprocess.Popen[bytes]:
        started.append(real(*args, **more))
        return started[-1]

    monkeypatch.setattr(processes.subprocess, "Popen", popen)
    yield started
    assert started and all(child.poll() is not None for child in started)


LONG = {"batch_size": 4, "devices": 2, "steps": 40_000, "validate_every": 3}


def meanwhile(act: Callable[[], object], run: Path) -> threading.Thread:
    """Act in a thread once a run has a checkpoint."""

    def wait() -> None:
        while not (run / "last.safetensors").exists():
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.slow
def test_a_killed_process_ends_the_run_in_one_line_and_the_checkpoint_is_whole(
    finished: Path, tmp_path: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    task, run = classify(**LONG), tmp_path / "run"
    thread = meanwhile(lambda: children[0].kill(), run)
    with pytest.raises(InrzooError) as caught:
        tasks.train(task, finished, run, device="cpu", quiet=True)
    thread.join()
    line = str(caught.value)
    assert "\n" not in line and "process 1 of 0 to 1 ended by signal 9; the checkpoint after step" in line
    stopped = int(re.search(r"step (\d+)", line)[1])
    assert read(run / "last.safetensors").progress["step"] == stopped > 0
    assert not torch.distributed.is_initialized()
    assert tasks.train(task, finished, run, device="cpu", quiet=True, stop_after=2).step == stopped + 2


class Failing(Classify):
    """Classification whose second process cannot read its batches, or not even begin."""

    def begin(self, path: object, device: object) -> object:
        learner = super().begin(path, device)
        whole = learner.loss
        if learner._batches._share.rank and self.seed == 1:
            raise MemoryError("no memory to begin")

        def loss(step: int) -> object:
            if step == 9:
                raise MemoryError("no memory for\nbatch 9")
            return whole(step)

        learner.loss = loss
        return learner


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (0, "process 1 of 0 to 1 ended: MemoryError: no memory for batch 9; the checkpoint after step 3 is whole"),
        (1, "process 1 of 0 to 1 ended: MemoryError: no memory to begin; there is no checkpoint yet"),
    ],
)
def test_an_error_of_another_process_is_said_by_the_first(
    seed: int, message: str, finished: Path, tmp_path: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    fields = classify(batch_size=4, devices=2, seed=seed).to_json()
    task = Failing(**{key: value for key, value in fields.items() if key != "name"})
    with pytest.raises(InrzooError) as caught:
        tasks.train(task, finished, tmp_path / "run", device="cpu", quiet=True)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["first", "second"])
def test_a_request_to_any_process_stops_all_with_one_checkpoint(
    whom: str, finished: Path, tmp_path: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    task, run = classify(**LONG), tmp_path / "run"
    thread = meanwhile(lambda: os.kill(os.getpid() if whom == "first" else children[0].pid, signal.SIGTERM), run)
    with pytest.raises(Terminated):
        tasks.train(task, finished, run, device="cpu", quiet=True)
    thread.join()
    stopped = read(run / "last.safetensors").progress["step"]
    assert 0 < stopped < 40_000
    assert tasks.train(task, finished, run, device="cpu", quiet=True, stop_after=1).step == stopped + 1


@pytest.mark.slow
def test_a_second_request_ends_a_wait_for_a_process_that_does_not_answer(
    finished: Path, tmp_path: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    run = tmp_path / "run"

    def act() -> None:
        children[0].send_signal(signal.SIGSTOP)
        for _ in range(2):
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGINT)

    thread = meanwhile(act, run)
    with pytest.raises(KeyboardInterrupt):
        tasks.train(classify(**LONG), finished, run, device="cpu", quiet=True)
    thread.join()
    assert read(run / "last.safetensors").progress["step"] % LONG["validate_every"] == 0


@pytest.mark.slow
def test_the_others_end_with_the_first(finished: Path, tmp_path: Path) -> None:
    words = ["train", "classify", str(finished), "--encoder", "flat_mlp", "--batch-size", "4", "--devices", "2"]
    words += ["--steps", "40000", "--validate-every", "3", "--device", "cpu", "--out", str(tmp_path / "run")]
    first = subprocess.Popen([sys.executable, "-m", "inrzoo", *words], stderr=subprocess.DEVNULL)
    meanwhile(lambda: None, tmp_path / "run").join(120)
    others = {int(path.name) for path in Path("/proc").glob("[0-9]*") if _parent(path) == first.pid}
    assert len(others) == 1
    first.kill()
    first.wait()
    end = time.monotonic() + 20
    while any(_parent(Path(f"/proc/{pid}")) is not None for pid in others) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(_parent(Path(f"/proc/{pid}")) is not None for pid in others)


@pytest.mark.slow
def test_a_process_that_waits_for_the_first_ends_with_it(
    finished: Path, tmp_path: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    others = processes._Others(classify(batch_size=4, devices=2), finished, torch.device("cpu"), tmp_path, 1)
    others.wait_until_ready()
    time.sleep(0.5)
    assert children[0].poll() is None and children[0].stdin is not None
    children[0].stdin.close()
    assert children[0].wait(20) == processes.LOST_PEER


def _parent(process: Path) -> int | None:
    """Parent of a process in /proc; None if it has ended."""
    try:
        state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def test_words_of_the_precision() -> None:
    assert make_task("classify", {"precision": "bf16"}, {}).precision == "bfloat16"
    assert make_task("classify", {"precision": "32"}, {}).precision == "float32"
    assert make_task("classify", {"precision": 32}, {}).precision == "float32"
    with pytest.raises(InrzooError, match="precision = 16 is not allowed"):
        make_task("classify", {"precision": "16"}, {})


@pytest.mark.parametrize("make", [classify, few_shot, hypernetwork])
def test_bfloat16_rounds_the_steps_and_nothing_else(
    make: Callable[..., Task], finished: Path, characters: Path, trained: Callable[[Task, Path], Trained]
) -> None:
    store = characters if make is few_shot else finished
    exact, rounded = (
        trained(make(precision=name, **({"batch_size": 32} if make is classify else {})), store).gradients[0]
        for name in ("float32", "bfloat16")
    )
    distance = float((exact - rounded).norm() / exact.norm())
    assert 1e-4 < distance < 0.2
    assert rounded.dtype == torch.float32 and bool(np.isfinite(rounded.numpy()).all())


def test_mixed_precision_is_another_word_for_it(finished: Path, trained: Callable[[Task, Path], Trained]) -> None:
    made = {"name": "end_to_end", "steps": 1, "validate_every": 1, "validation_signals": 4, "clip": 0.0}
    inr = {"name": "siren", "convention": "mwt", "omega_0": 10.0, "hidden_features": 8, "hidden_layers": 2}
    small = {"name": "end_to_end", "features": 16, "num_layers": 1, "head_features": 8}
    for task in (hypernetwork(), registry.make("tasks", {**made, "inr": inr, "hypernet": small})):
        words = [{"precision": "bfloat16"}, {"mixed_precision": True}, {}]
        short, mixed, exact = (
            trained(registry.make("tasks", {**task.to_json(), **word}), finished).gradients[0] for word in words
        )
        assert torch.equal(short, mixed) and not torch.equal(short, exact)


@pytest.mark.parametrize(
    ("device", "initialised", "message"),
    [
        ("cuda", False, "devices = 3 is more than the 2 GPU(s) here; --device cpu has no limit"),
        ("cuda:1", False, "devices = 2 is not allowed with device cuda:1; expected cuda"),
        ("mps", False, "devices = 2 is not allowed on mps; it is on cuda and cpu"),
        ("cpu", True, "devices = 2 is not allowed: this process is one of several of torch.distributed already"),
    ],
)
def test_devices_that_cannot_be_are_one_line(
    device: str, initialised: bool, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: initialised)
    with pytest.raises(InrzooError, match=re.escape(message)):
        processes.require_devices(classify(devices=int(message[10])), torch.device(device))
    processes.require_devices(classify(), torch.device(device))
