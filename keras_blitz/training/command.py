"""The command line the training scripts share."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from keras_blitz import command
from keras_blitz.training.recipes import RECIPES

Loop = StrEnum("Loop", ["fit", "tape"])
Dtype = StrEnum("Dtype", ["float32", "float64"])


def train(name: str, lesson: type, doc: str) -> None:
    """Run a lesson as a command.

    Args:
        name: of the recipe.
        lesson: subclass of `Lesson`.
        doc: the script's docstring, its help.
    """
    recipe = RECIPES[name]

    def main(
        loop: Annotated[Loop, typer.Option(help="model.fit, or a GradientTape.")] = Loop.fit,
        epochs: Annotated[int, typer.Option(min=1)] = recipe.epochs,
        batch_size: Annotated[int, typer.Option(min=1)] = recipe.batch_size,
        lr: Annotated[float, typer.Option(min=0, help="Learning rate of SGD.")] = recipe.lr,
        momentum: Annotated[float, typer.Option(min=0)] = recipe.momentum,
        shuffle: Annotated[bool, typer.Option(help="Another order each epoch.")] = recipe.shuffle,
        network: Annotated[str, typer.Option(help="A name of keras_blitz.models.")] = recipe.network,
        seed: Annotated[int | None, typer.Option(help="The run PyTorch gives after torch.manual_seed.")] = None,
        dtype: Annotated[Dtype, typer.Option()] = Dtype.float32,
        data_dir: Annotated[Path | None, typer.Option(help="Of tensorflow-datasets.")] = None,
        download: Annotated[bool, typer.Option(help="Fetch the data set if it is not there.")] = False,
        output: Annotated[Path, typer.Option(help="Folder of pictures, checkpoint, model.")] = Path("runs") / name,
        resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the folder.")] = False,
        logdir: Annotated[Path | None, typer.Option(help="Write logs for TensorBoard there.")] = None,
        threads: Annotated[int | None, typer.Option(min=0, help="TensorFlow's; 0: as many as cores.")] = None,
        jit: Annotated[
            bool | None,
            typer.Option(help="Compile with XLA, or not; by itself a network of dense layers.", show_default=False),
        ] = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Two batches.")] = False,
    ) -> None:
        from keras_blitz.training.lesson import Settings

        chosen = replace(
            recipe, epochs=epochs, batch_size=batch_size, lr=lr, momentum=momentum, shuffle=shuffle, network=network
        )
        settings = Settings(
            loop=loop.value, seed=seed, dtype=dtype.value, output=output, resume=resume, dry_run=dry_run,
            data_dir=data_dir, download=download, logdir=logdir, threads=threads, jit=jit,
        )  # fmt: skip
        raise SystemExit(lesson(chosen, settings).run())

    main.__doc__ = doc
    command.run_script(main, f"train_{name}")
