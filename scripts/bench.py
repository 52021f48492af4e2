"""Measure PyTorch and this package side by side: processes of the two in turn, rates, memory, start-up.

python scripts/bench.py
python scripts/bench.py --only cifar10 --rounds 5
python scripts/bench.py --json report.json --append     a whole run, kept as a line of benchmarks/runs.jsonl
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from keras_blitz import command
from keras_blitz.errors import BlitzError
from keras_blitz.files import append_line, atomic_path, check_target
from keras_blitz.training.recipes import RECIPES
from keras_blitz.versions import conditions

STARTED = time.perf_counter()
RUNS = Path(__file__).parents[1] / "benchmarks" / "runs.jsonl"


@dataclass(frozen=True)
class Task:
    """One thing measured: how PyTorch does it, how we do, and the ratio that is wanted.

    Args:
        name: as `--only` and the table have it.
        torch: name of the function that measures PyTorch.
        ours: name of the function that measures this package.
        arguments: of both.
        bar: least ratio of the rates; None: none was set.
        own: further arguments of ours alone.
        threads: TensorFlow's, as `tune_cpu` takes them, where no recipe tells.
    """

    name: str
    torch: str
    ours: str
    arguments: tuple = ()
    bar: float | None = None
    own: tuple = ()
    threads: tuple[int, int] = (0, 0)


TASKS = (
    *(
        Task(f"{name} {loop}", "torch_training", "our_training", (name,), bar, (loop,))
        for name, bars in (("cifar10", (2.0, 1.0)), ("fashion_mnist", (1.3, 0.8)), ("mnist", (1.6, 1.0)))
        for loop, bar in zip(("tape", "fit"), bars, strict=True)
    ),
    *(Task(f"resnet18 train {n}", "torch_finetuning", "our_finetuning", ("full", n, 1000), 0.85) for n in (1, 16)),
    # The operations of one small image are too little work to be shared; the halves of the largest are not.
    Task("resnet18 inference 1", "torch_inference", "our_inference", ("resnet18", 1, 64), 1.0, threads=(1, 2)),
    Task("resnet18 inference 16", "torch_inference", "our_inference", ("resnet18", 16, 64)),
    Task("finetune full", "torch_finetuning", "our_finetuning", ("full", 16, 10)),
    Task("finetune frozen", "torch_finetuning", "our_finetuning", ("frozen", 16, 10)),
    # PyTorch's tutorial runs the frozen backbone on every image in every epoch.
    Task("finetune cached", "torch_finetuning", "our_finetuning", ("frozen", 16, 10), 5.0, ("cached",)),
    Task("vgg16 inference 1", "torch_inference", "our_inference", ("vgg16", 1, 224)),
)


def rate(step: Callable[[], int], seconds: float) -> dict[str, float]:
    """Return steps a second and a step's CPU time in ms: `step` does some and returns how many; warmed up before.

    CPU time, of all threads, is what is left to compare on a machine that others use, too.
    """
    step()
    step()
    start, used, done = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < seconds:
        done += step()
    return {
        "rate": done / (time.perf_counter() - start),
        "cpu_ms": 1000 * (time.process_time() - used) / done,
    }


def random_images(count: int, shape: tuple[int, ...], classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 images (count, *shape) and int64 labels."""
    rng = np.random.RandomState(0)
    return rng.randint(0, 256, (count, *shape), np.uint8), rng.randint(0, classes, count).astype(np.int64)


# PyTorch


def torch_training(seconds: float, name: str, compiled: bool = False) -> dict[str, float]:
    """The tutorial's loop; the images are in memory, transformed already, which spares PyTorch its DataLoader."""
    import torch

    from parity.twins.torch.training import NETWORKS

    recipe = RECIPES[name]
    shape = (32, 32, 3) if name == "cifar10" else (28, 28, 1)
    images, labels = random_images(100 * recipe.batch_size, shape)
    x, y = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 255), torch.from_numpy(labels)
    net = NETWORKS[recipe.network]()
    forward = torch.compile(net) if compiled else net
    optimizer = torch.optim.SGD(net.parameters(), recipe.lr, recipe.momentum)
    criterion = torch.nn.CrossEntropyLoss()

    def hundred_steps() -> int:
        running = 0.0
        for start in range(0, len(x), recipe.batch_size):
            inputs, targets = x[start : start + recipe.batch_size], y[start : start + recipe.batch_size]
            optimizer.zero_grad()
            outputs = forward(inputs)
            loss = criterion(outputs, targets)
            loss.backward()
            optimizer.step()
            running += loss.item()
            if recipe.counts_correct:
                running += (outputs.argmax(1) == targets).sum().item()
        return 100

    return rate(hundred_steps, seconds)


def torch_finetuning(seconds: float, way: str, batch: int, classes: int, compiled: bool = False) -> dict[str, float]:
    """Steps of ResNet18 on 64×64 images: all of it, or only its last layer after a frozen rest."""
    import torch

    from parity.twins.torch.families import build

    net = build("resnet18", num_classes=classes).train()
    if way == "frozen":
        for parameter in net.parameters():
            parameter.requires_grad = False
        net.fc = torch.nn.Linear(512, classes)
    forward = torch.compile(net) if compiled else net
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 1e-2, 0.9)
    criterion = torch.nn.CrossEntropyLoss()
    x, y = torch.rand(batch, 3, 64, 64), torch.randint(classes, (batch,))

    def step() -> int:
        optimizer.zero_grad()
        loss = criterion(forward(x), y)
        loss.backward()
        optimizer.step()
        loss.item()
        return 1

    return rate(step, seconds)


def torch_inference(seconds: float, name: str, batch: int, size: int, compiled: bool = False) -> dict[str, float]:
    """Forward passes in eval mode."""
    import torch

    from parity.twins.torch.families import build

    net = build(name).eval()
    forward = torch.compile(net) if compiled else net
    x = torch.rand(batch, 3, size, size)

    def step() -> int:
        with torch.no_grad():
            forward(x).numpy()
        return 1

    return rate(step, seconds)


# Ours


def our_training(seconds: float, name: str, loop: str) -> dict[str, float]:
    """What scripts/train_*.py run."""
    from keras_blitz.data import Split
    from keras_blitz.training.loop import trainer_of

    recipe = RECIPES[name]
    shape = (32, 32, 3) if name == "cifar10" else (28, 28, 1)
    trainer = trainer_of(recipe, Split(*random_images(1000 * recipe.batch_size, shape)), loop)

    def epoch() -> int:
        trainer.run_epoch()
        return len(trainer.losses)

    return rate(epoch, seconds)


def our_finetuning(seconds: float, way: str, batch: int, classes: int, cached: str = "") -> dict[str, float]:
    """Steps of ResNet18, as `torch_finetuning`; cached: the frozen part ran once, the last layer learns from that."""
    import tensorflow as tf

    from keras_blitz import models, optim
    from keras_blitz.losses import CrossEntropyLoss

    rng = np.random.RandomState(0)
    x = tf.constant(rng.rand(batch, 64, 64, 3), tf.float32)
    y = tf.constant(rng.randint(0, classes, batch))
    net = models.build("resnet18", num_classes=classes, input_shape=(64, 64, 3))
    variables = net.trainable_variables
    if way == "frozen":
        variables = [variable for variable in variables if "fc" in variable.path]
    forward, steps = net, 1
    if cached:
        import keras

        x, forward, steps = keras.Model(net.input, net.fc.input)(x, training=False), net.fc, 100
    optimizer, criterion = optim.SGD(1e-2, momentum=0.9), CrossEntropyLoss()
    optimizer.build(variables)

    @tf.function
    def run() -> tf.Tensor:
        loss = tf.constant(0.0)
        for _ in tf.range(steps):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([variable.value for variable in variables])
                loss = criterion(y, forward(x) if cached else forward(x, training=True))
            optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def step() -> int:
        run().numpy()
        return steps

    return rate(step, seconds)


def our_inference(seconds: float, name: str, batch: int, size: int) -> dict[str, float]:
    """Forward passes of a concrete function; `predict` would take ten times as long for one image."""
    import tensorflow as tf

    from keras_blitz import models

    net = models.build(name, input_shape=(size, size, 3))
    forward = tf.function(lambda x: net(x, training=False)).get_concrete_function(
        tf.TensorSpec((batch, size, size, 3), tf.float32)
    )
    x = tf.constant(np.random.RandomState(0).rand(batch, size, size, 3), tf.float32)

    def step() -> int:
        forward(x).numpy()
        return 1

    return rate(step, seconds)


# One process


def measure(task: Task, side: str, seconds: float, threads: int) -> dict[str, float]:
    """Measure one side of a task in this process."""
    function = globals()[task.ours if side == "ours" else task.torch]
    options = {}
    if side == "ours":
        from keras_blitz.quiet import import_tensorflow

        import_tensorflow()
        from keras_blitz.training.cpu import tune_cpu

        recipe = RECIPES.get(task.arguments[0])
        own = recipe.threads_of(*task.own) if recipe else task.threads
        tune_cpu(*((threads, threads) if threads else own))
    else:
        import torch

        if threads:
            torch.set_num_threads(threads)
        if side == "compiled":
            options = {"compiled": True}
    ready = time.perf_counter() - STARTED
    found = function(seconds, *task.arguments, *(task.own if side == "ours" else ()), **options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return {**found, "peak_mb": peak, "import_s": ready, "total_s": time.perf_counter() - STARTED}


def measured_apart(task: Task, side: str, seconds: float, threads: int) -> dict[str, float] | None:
    """Measure in a new process; None: it failed, as torch.compile does without a C++ compiler."""
    words = [sys.executable, __file__, "--one", task.name, side, "--seconds", str(seconds), "--threads", str(threads)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        print(f"{task.name}, {side}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


# The table


def summary(rounds: list[dict]) -> dict:
    """Return medians of both sides and of the ratio of the rates, with its least and largest value."""
    ratios = [one["ours"]["rate"] / one["torch"]["rate"] for one in rounds]
    cpu = statistics.median(one["torch"]["cpu_ms"] / one["ours"]["cpu_ms"] for one in rounds)
    found = {
        "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios), "ratio_cpu": cpu,
        "rounds": len(rounds),
    }  # fmt: skip
    for side in rounds[0]:
        found[side] = {key: statistics.median(one[side][key] for one in rounds) for key in rounds[0][side]}
    return found


def run_line(about: dict, results: dict[str, dict]) -> dict:
    """Return what benchmarks/runs.jsonl keeps: how it was run, and the median and the range of each task's ratio."""
    keys = ("ratio", "ratio_min", "ratio_max")
    return {**about, "tasks": {name: {key: round(found[key], 3) for key in keys} for name, found in results.items()}}


def show(results: dict[str, dict]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "task", "PyTorch /s", "ours /s", "ratio", "least–largest", "by CPU", "bar", "peak MB", "ready s", box=None
    )
    for name, found in results.items():
        bar = found["bar"]
        verdict = "" if bar is None else f"{bar:g} {'ok' if found['ratio'] >= bar else 'MISSED'}"
        both = [f"{found['torch'][key]:.{digits}f} {found['ours'][key]:.{digits}f}"
                for key, digits in (("peak_mb", 0), ("import_s", 1))]  # fmt: skip
        compiled = f" ({found['compiled']['rate']:.4g} compiled)" if "compiled" in found else ""
        table.add_row(
            name, f"{found['torch']['rate']:.4g}{compiled}", f"{found['ours']['rate']:.4g}", f"{found['ratio']:.2f}",
            f"{found['ratio_min']:.2f}–{found['ratio_max']:.2f}",
            f"{found['ratio_cpu']:.2f}", verdict, *both,
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    print("by CPU: ratio of the CPU times of a step, which says more where the machine is busy")
    print("peak memory and seconds until the framework is imported: PyTorch, ours")


def main(
    only: Annotated[list[str] | None, typer.Option(help="Run only tasks with this prefix.")] = None,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    seconds: Annotated[float, typer.Option(min=0.01, help="Duration of each measurement.")] = 3.0,
    threads: Annotated[int, typer.Option(min=0, help="Threads of both frameworks; 0: their defaults.")] = 0,
    compiled: Annotated[bool, typer.Option("--compiled", help="Also measure torch.compile.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results to this file.")] = None,
    append: Annotated[bool, typer.Option("--append", help="Keep the run as a line of benchmarks/runs.jsonl.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Run one short round of the first task.")] = False,
    one: Annotated[tuple[str, str], typer.Option(hidden=True)] = ("", ""),
) -> None:
    """Measure PyTorch and this package in turn; the exit status is 1 where a bar is missed."""
    if json_file:
        check_target(json_file)
    if one[0]:
        task = {task.name: task for task in TASKS}[one[0]]  # the name is of this script's own making
        print(json.dumps(measure(task, one[1], seconds, threads)))
        return
    if append and (only or dry_run):
        raise BlitzError("--append keeps whole runs: leave out --only and --dry-run")
    if find_spec("torch") is None:
        raise BlitzError("this needs PyTorch: pip install 'keras-blitz[torch]'")
    if append:
        check_target(RUNS)
    about = {**conditions("torch"), "rounds": rounds, "seconds": seconds, "threads": threads}
    if dry_run:
        only, rounds, seconds = ["cifar10 tape"], 1, 0.2
    chosen = [task for task in TASKS if not only or any(task.name.startswith(name) for name in only)]
    if not chosen:
        raise BlitzError(f"no such task; known: {', '.join(task.name for task in TASKS)}")
    if os.getloadavg()[0] > 0.5 * (os.cpu_count() or 1):
        print(f"this machine is busy (load {os.getloadavg()[0]:.1f}): ratios may be off", file=sys.stderr)
    sides = ("torch", "ours", *(("compiled",) if compiled else ()))
    results = {}
    for task in chosen:
        found = []
        for number in range(rounds):
            order = sides if number % 2 == 0 else sides[::-1]
            made = {side: measured_apart(task, side, seconds, threads) for side in order}
            if made["torch"] and made["ours"]:
                found.append({side: made[side] for side in sides if made[side]})
        if found:
            kept = [{side: one[side] for side in found[0] if all(side in each for each in found)} for one in found]
            results[task.name] = {"bar": task.bar, **summary(kept)}
            print(f"{task.name}: {results[task.name]['ratio']:.2f}", file=sys.stderr)
    if not results:
        raise SystemExit(2)
    show(results)
    if json_file:
        here = {"python": platform.python_version(), "cpus": os.cpu_count(), "load": os.getloadavg()[0]}
        with atomic_path(json_file) as temporary:
            temporary.write_text(json.dumps({"machine": here, "threads": threads, "tasks": results}, indent=1))
    if append:
        append_line(RUNS, json.dumps(run_line(about, results)))
    raise SystemExit(any(found["bar"] and found["ratio"] < found["bar"] for found in results.values()))


if __name__ == "__main__":
    command.run_script(main, "bench")
