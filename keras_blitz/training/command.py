"""The command line the training scripts share."""

import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from keras_blitz import command
from keras_blitz.errors import BlitzError
from keras_blitz.training.cluster import Cluster, find_cluster
from keras_blitz.training.distributed import PATIENCE
from keras_blitz.training.launcher import launch
from keras_blitz.training.recipes import RECIPES

Loop = StrEnum("Loop", ["fit", "tape"])
Dtype = StrEnum("Dtype", ["float32", "float64"])
Like = StrEnum("Like", ["one", "ddp"])


def train(name: str, lesson: type, doc: str) -> None:
    """Run a lesson as a command.

    Args:
        name: of the recipe.
        lesson: subclass of `Lesson`.
        doc: the script's docstring, its help.
    """
    recipe = RECIPES[name]

    def main(
        loop: Annotated[Loop, typer.Option(help="Train with model.fit, or with a GradientTape.")] = Loop.fit,
        epochs: Annotated[int, typer.Option(min=1, max=command.LARGEST)] = recipe.epochs,
        batch_size: Annotated[int, typer.Option(min=1, max=command.LARGEST)] = recipe.batch_size,
        lr: Annotated[float, typer.Option(min=0, help="Learning rate of SGD.")] = recipe.lr,
        momentum: Annotated[float, typer.Option(min=0)] = recipe.momentum,
        shuffle: Annotated[bool, typer.Option(help="Shuffle the images in each epoch.")] = recipe.shuffle,
        network: Annotated[str, typer.Option(help="A name of keras_blitz.models.")] = recipe.network,
        seed: Annotated[int | None, typer.Option(help="Reproduce the run of torch.manual_seed(SEED).")] = None,
        dtype: Annotated[Dtype, typer.Option()] = Dtype.float32,
        data_dir: Annotated[Path | None, typer.Option(help="The directory of tensorflow-datasets.")] = None,
        download: Annotated[bool, typer.Option(help="Download the data set if it is missing.")] = False,
        output: Annotated[Path, typer.Option(help="Folder for pictures, checkpoint and model.")] = Path("runs") / name,
        resume: Annotated[
            bool, typer.Option("--resume", help="Continue from the checkpoint in the output folder.")
        ] = False,
        logdir: Annotated[Path | None, typer.Option(help="Write logs for TensorBoard to this folder.")] = None,
        threads: Annotated[
            int | None, typer.Option(min=0, help="Number of TensorFlow threads; 0: one per core.")
        ] = None,
        jit: Annotated[
            bool | None,
            typer.Option(help="Compile with XLA. Default: only for networks of dense layers.", show_default=False),
        ] = None,
        workers: Annotated[int, typer.Option(min=1, help="Processes on this machine that share each batch.")] = 1,
        devices: Annotated[int, typer.Option(min=1, help="GPUs, or parts of the CPU, that share each batch.")] = 1,
        like: Annotated[
            Like,
            typer.Option(help="What several workers must equal: one process, or PyTorch's DistributedDataParallel."),
        ] = Like.one,
        sync_batchnorm: Annotated[
            bool, typer.Option("--sync-batchnorm", help="BatchNorm over the whole batch, not each worker's part.")
        ] = False,
        patience: Annotated[float, typer.Option(min=1, help="Seconds to wait for the other workers.")] = PATIENCE,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Run two batches and a part of the test set.")] = False,
    ) -> None:
        cluster = find_cluster()
        check_flags(workers, devices, cluster, batch_size)
        if cluster is None and workers > 1:
            raise SystemExit(launch(workers, [sys.executable, *sys.orig_argv[1:]], f"train_{name}"))
        from keras_blitz.training.lesson import Settings

        chosen = replace(
            recipe, epochs=epochs, batch_size=batch_size, lr=lr, momentum=momentum, shuffle=shuffle, network=network
        )
        settings = Settings(
            loop=loop.value, seed=seed, dtype=dtype.value, output=output, resume=resume, dry_run=dry_run,
            data_dir=data_dir, download=download, logdir=logdir, threads=threads, jit=jit,
            cluster=cluster, devices=devices, like="ddp" if like is Like.ddp else "one",
            sync_batchnorm=sync_batchnorm, patience=patience,
        )  # fmt: skip
        raise SystemExit(lesson(chosen, settings).run())

    main.__doc__ = doc
    command.run_script(main, f"train_{name}")


def check_flags(workers: int, devices: int, cluster: Cluster | None, batch_size: int) -> None:
    """Raise where the flags contradict each other or the cluster that the environment names.

    Raises:
        BlitzError: workers and devices, another number of workers than TF_CONFIG or SLURM has, or a batch that is too
            small for all of them.
    """
    if (parts := max(workers, devices)) > batch_size:
        raise BlitzError(f"--batch-size {batch_size}: must be at least {parts}, an image for each part")
    if devices > 1 and (workers > 1 or cluster):
        raise BlitzError("--devices shares a batch inside one process: leave out --workers, TF_CONFIG, SLURM's tasks")
    if cluster and workers not in (1, cluster.size):
        raise BlitzError(f"--workers {workers}, but TF_CONFIG or SLURM names {cluster.size}; leave it out")
