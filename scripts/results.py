"""The tutorials' results on the full data sets, PyTorch's and ours from the same seed, written into docs/training.md.

python scripts/results.py                           all of them, some minutes
python scripts/results.py --only mnist --epochs 1   a part is printed only
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from keras_blitz import command
from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path, make_folder
from keras_blitz.training.metrics import Test
from keras_blitz.training.recipes import RECIPES, Recipe

PAGE = Path(__file__).parents[1] / "docs" / "training.md"
BEGIN, END = "<!-- scripts/results.py -->", "<!-- the end of scripts/results.py -->"


@dataclass(frozen=True)
class Row:
    """One run: its recipe, with what is changed in it, and the result the source prints."""

    name: str
    title: str
    source: str
    changes: tuple[tuple[str, object], ...] = ()

    @property
    def recipe(self) -> Recipe:
        """What is trained."""
        return replace(RECIPES[self.name], **dict(self.changes))


ROWS = {
    "cifar10": Row("cifar10", "CIFAR-10, 2 epochs", "about 55 %"),
    "fashion_mnist": Row("fashion_mnist", "Fashion-MNIST, 10 epochs, last ReLU", "58.3 %, 0.020569"),
    "fashion_mnist_later": Row(
        "fashion_mnist", "Fashion-MNIST, 10 epochs, without it", "", (("network", "mlp"),)
    ),
    "mnist": Row("mnist", "MNIST, 10 epochs", "98.99 %, in training 99.33 %"),
}  # fmt: skip


def pytorchs(recipe: Recipe, seed: int, data) -> tuple[np.ndarray, np.ndarray, int]:
    """Return PyTorch's losses, its outputs on the test images, and the right answers of the last epoch."""
    from parity.twins.torch.training import Run

    run = Run(recipe, data.train, seed, "float32")
    losses, right = [], 0
    for _ in range(recipe.epochs):
        found = list(run.epoch())
        losses += [loss for loss, _ in found]
        right = sum(answers for _, answers in found)
    return np.array(losses), run.logits(data.test), right


def ours(recipe: Recipe, seed: int, data) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the same of this package."""
    import keras_blitz
    from keras_blitz.training.loop import trainer_of

    keras_blitz.manual_seed(seed)
    recipe.draw_shown_batch(len(data.train))
    trainer = trainer_of(recipe, data.train, "tape", counts_correct=True)
    losses = []
    for _ in range(recipe.epochs):
        trainer.run_epoch()
        losses.append(trainer.losses)
    return np.concatenate(losses), trainer.logits(data.test), int(trainer.correct.sum())


def run_one(row: Row, side: str, seed: int, path: Path) -> None:
    """Run one side in this process and keep what came of it."""
    from keras_blitz.quiet import import_tensorflow

    # One thread each: theirs wait for each other where something else uses the machine.
    if side == "pytorch":
        import torch  # before TensorFlow, which reads the data

        torch.set_num_threads(1)
    import_tensorflow()
    from keras_blitz.data import load
    from keras_blitz.training.cpu import tune_cpu

    tune_cpu(1, 1, keep_kernels=False)

    data = load(row.recipe.data)
    losses, logits, right = (pytorchs if side == "pytorch" else ours)(row.recipe, seed, data)
    train_accuracy = right / len(data.train)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, losses=losses, logits=logits, labels=data.test.labels, train_accuracy=train_accuracy)


def line(row: Row, files: dict[str, Path]) -> str:
    """Return the table's line of a run."""
    cells, predicted = [], []
    for side in ("pytorch", "ours"):
        with np.load(files[side]) as found:
            test = Test(found["logits"], found["labels"])
            average = test.sum_of_batch_losses(row.recipe.batch_size) / len(test.labels)
            extra = f"{average:.6f}" if row.name == "fashion_mnist" else ""
            extra = f"in training {100 * float(found['train_accuracy']):.2f} %" if row.name == "mnist" else extra
            cells.append(", ".join(filter(None, (f"{100 * test.accuracy:.2f} %", extra))))
            predicted.append(test.predicted)
    differ = int((predicted[0] != predicted[1]).sum())
    return f"| {row.title} | {row.source} | {cells[0]} | {cells[1]} | {differ:,} of {len(predicted[0]):,} |"


def written(text: str, table: list[str], command: str) -> str:
    """Return a document with the table between its marks."""
    if BEGIN not in text or END not in text:
        raise BlitzError(f"{PAGE}: no place for the table, which is between {BEGIN} and {END}")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    head = ["| run | source | PyTorch | ours | answers that differ |", "|---|---|---|---|---|"]
    body = "\n".join([*head, *table])
    return f"{before}{BEGIN}\n{body}\n\nWritten by `{command}`, test accuracy, float32.\n{END}{after}"


def main(
    only: Annotated[list[str] | None, typer.Option(help=", ".join(ROWS))] = None,
    seed: Annotated[int, typer.Option(help="Seed of both frameworks.")] = 0,
    epochs: Annotated[int, typer.Option(min=0, help="Number of epochs; 0: as in the tutorials.")] = 0,
    keep: Annotated[Path | None, typer.Option(help="Folder for finished runs; these are not run again.")] = None,
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the table; do not change docs/training.md.")
    ] = False,
    one: Annotated[tuple[str, str], typer.Option(hidden=True)] = ("", ""),
) -> None:
    """Train as the tutorials do, in PyTorch and here, and write the table of the results."""
    chosen = {name: row for name, row in ROWS.items() if not only or name in only}
    if not chosen:
        raise BlitzError(f"no such run; known: {', '.join(ROWS)}")
    if epochs:
        changed = {name: (*row.changes, ("epochs", epochs)) for name, row in chosen.items()}
        chosen = {name: replace(row, changes=changed[name]) for name, row in chosen.items()}
    if one[0]:
        run_one(chosen[one[0]], one[1], seed, keep)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = make_folder(keep or Path(temporary))
        table = []
        for name, row in chosen.items():
            files = {side: folder / f"{name}-{side}-{seed}-{row.recipe.epochs}.npz" for side in ("pytorch", "ours")}
            for side, path in files.items():
                if not path.is_file():
                    print(f"{row.title}: {side} …", file=sys.stderr)
                    words = [sys.executable, __file__, "--only", name, "--one", name, side,
                             "--seed", str(seed), "--epochs", str(epochs), "--keep", str(path)]  # fmt: skip
                    if subprocess.run(words).returncode:
                        raise BlitzError(f"{row.title}: {side} failed")
            table.append(line(row, files))
    print("\n".join(table))
    if not (print_only or only or epochs):  # a part would take the place of the whole table
        text = written(PAGE.read_text(encoding="utf-8"), table, f"python scripts/results.py --seed {seed}")
        with atomic_path(PAGE) as path:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    command.run_script(main, "results")
