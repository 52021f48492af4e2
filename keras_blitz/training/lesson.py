"""A tutorial's training script from top to bottom; each script gives what it prints."""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz.command import defer_interrupts
from keras_blitz.data.datasets import ImageData, Split, data_directory, load_or_sample
from keras_blitz.files import atomic_path, check_source, explain_writing, make_folder
from keras_blitz.progress import progress_bar
from keras_blitz.training import plots
from keras_blitz.training.checks import check_finite, check_images, check_network, check_options, check_outputs
from keras_blitz.training.cluster import Cluster
from keras_blitz.training.distributed import (
    ALONE,
    PATIENCE,
    Like,
    Workers,
    ends_with_the_others,
    join,
    silent_unless_chief,
    use_devices,
)
from keras_blitz.training.metrics import Test
from keras_blitz.training.recipes import Recipe
from keras_blitz.versions import versions

SAVE_EVERY = 30.0  # seconds
# Pixels of a dry run's test set and batches at most: 1024 and 256 images of 32×32, 20 and 5 of 224×224.
DRY_TEST, DRY_BATCH = 1 << 20, 1 << 18


@dataclass(frozen=True)
class Settings:
    """What the command line sets.

    Args:
        loop: "fit" or "tape".
        seed: PyTorch's `manual_seed`; None: another run each time.
        dtype: "float32" or "float64".
        output: folder of pictures, checkpoint and model.
        resume: go on from the checkpoint in `output`.
        dry_run: two batches.
        data_dir: tensorflow-datasets directory.
        download: let tensorflow-datasets download the data set.
        logdir: of TensorBoard; None: no logs.
        threads: of TensorFlow; None: the recipe's.
        jit: compile with XLA; None: as `Trainer` does by itself.
        cluster: the processes that train together; None: this one alone.
        devices: of this process that share a batch.
        like: "one" or "ddp", see `Workers`.
        sync_batchnorm: let BatchNorm see the whole batch.
        patience: seconds to wait for the other processes.
    """

    loop: str = "fit"
    seed: int | None = None
    dtype: str = "float32"
    output: Path = Path("runs")
    resume: bool = False
    dry_run: bool = False
    data_dir: Path | None = None
    download: bool = False
    logdir: Path | None = None
    threads: int | None = None
    jit: bool | None = None
    cluster: Cluster | None = None
    devices: int = 1
    like: Like = "one"
    sync_batchnorm: bool = False
    patience: float = PATIENCE


class Lesson:
    """One of S1–S3. A subclass prints, in its tutorial's words.

    Args:
        recipe: the tutorial's hyper-parameters, or what the command line made of them.
        settings: see `Settings`.
    """

    def __init__(self, recipe: Recipe, settings: Settings):
        self.recipe = replace(recipe, epochs=1) if settings.dry_run else recipe
        self.settings = settings
        self._seed_given = settings.seed  # several workers choose one where none is given
        self.data: ImageData
        self.workers = ALONE
        self.losses: list[np.ndarray] = []  # of each finished epoch's steps
        self.accuracies: list[float] = []  # on the test set, after each epoch

    # What a script prints

    def before(self) -> None:
        """Print what the tutorial shows before it trains."""

    def epoch_begins(self) -> None:
        """Print an epoch's heading."""

    def steps_done(self, start: int, losses: np.ndarray) -> None:
        """Print what is due of the epoch's steps from `start` on."""

    def epoch_ends(self, test: Test) -> None:
        """Print an epoch's results."""

    def after(self, test: Test) -> None:
        """Print the final results."""

    # The run

    def run(self) -> int:
        """Train, test, save, reload; returns the exit status, 130 where it was interrupted."""
        plots.check_matplotlib()
        if self.settings.cluster is None:
            self._check_folders()  # before TensorFlow takes its seconds
        self.workers = self._start_tensorflow()
        with ends_with_the_others(self.workers, f"train_{self.recipe.data}"), silent_unless_chief(self.workers):
            return self._train()

    def _check_folders(self) -> None:
        if self.settings.resume:
            check_source(self._checkpoint, "no checkpoint to go on from")
        for folder in filter(None, (self.settings.output, self.settings.logdir)):
            make_folder(folder)

    def _train(self) -> int:
        if self.workers.chief:
            self._check_folders()
        self.data = self._read()
        self._agree()
        self._seed()
        self._show_images(self.recipe.draw_shown_batch(len(self.data.train)))
        self.trainer = self._trainer(self.workers)
        if self.settings.resume:
            self._restore()
        elif self.workers.chief:
            self.before()
        steps = 2 if self.settings.dry_run else self.trainer.steps_per_epoch
        bar = progress_bar(
            steps * self.recipe.epochs, "epoch {task.fields[epoch]}", "loss {task.fields[loss]:.3f}", remaining=True,
            hidden=not self.workers.chief, epoch=1, loss=float("nan"),
        )  # fmt: skip
        with defer_interrupts() as interrupted, bar as move, self._logs() as logs:
            while self.trainer.epoch < self.recipe.epochs:
                if self.trainer.step == 0:
                    self.epoch_begins()
                if not self.trainer.run_epoch(self._after_steps(move, steps, interrupted)):
                    return self._stopped()
                self.losses.append(self.trainer.losses)
                if self.workers.chief:
                    self._test_epoch(logs)
                self._save_checkpoint()
        if self.workers.chief:
            self._finish()
        self.workers.any(False)  # nobody leaves before the chief is done
        return 0

    def _test_epoch(self, logs: Callable[[Test], None]) -> None:
        test = Test.of(self.trainer, self.data.test)
        check_outputs(test.logits, self.trainer.epoch, self.recipe.lr)
        self.accuracies.append(test.accuracy)
        self.epoch_ends(test)
        logs(test)

    def _start_tensorflow(self) -> Workers:
        """Set TensorFlow up, then find the others."""
        from keras_blitz.quiet import import_tensorflow

        import_tensorflow()
        from keras_blitz.training.cpu import share_cores, tune_cpu

        settings, threads = self.settings, self.settings.threads
        chosen = self.recipe.threads_of(settings.loop) if threads is None else (threads, threads)
        if settings.cluster:
            tune_cpu(*share_cores(chosen, settings.cluster.local))
            return join(settings.cluster, settings.like, settings.patience)
        tune_cpu(*chosen)
        return use_devices(settings.devices, settings.like) if settings.devices > 1 else ALONE

    def _agree(self) -> None:
        """Let all processes have the chief's seed where none is given, and end all of them where they are not alike."""
        if self.workers.strategy is None:
            return
        chosen = self.workers.share(str(secrets.randbits(31)).encode())
        if self.settings.seed is None:
            self.settings = replace(self.settings, seed=int(chosen))
        told = {name: str(getattr(self.settings, name)) for name in ("seed", "loop", "dtype", "resume", "like")}
        images = hashlib.sha256(self.data.train.images.tobytes()).hexdigest()[:12]
        self.workers.check_same({**versions(), **told, "recipe": str(self.recipe), "training images": images})

    def _read(self) -> ImageData:
        """Return the data set, or the sample, of images that the network takes; for a dry run less of it.

        Raises:
            BlitzError: the network cannot be trained on it.
        """
        recipe, folder = self.recipe, self.settings.data_dir
        shape = check_network(recipe.network)
        data = load_or_sample(recipe.data, folder, self.settings.download, shape)
        if data.is_sample:
            print(
                f"No prepared {recipe.data} in {data_directory(folder)}: training on the sample in the package,"
                f" {len(data.train):,} images of Fashion-MNIST.\n"
                "scripts/prepare_data.py prepares what PyTorch downloaded, --download fetches it."
            )
        check_images(recipe.network, shape, data)
        if not self.settings.dry_run:
            return data
        few, batch = (pixels // (shape[0] * shape[1]) for pixels in (DRY_TEST, DRY_BATCH))
        self.recipe = replace(recipe, batch_size=min(recipe.batch_size, batch))
        return replace(data, test=Split(data.test.images[:few], data.test.labels[:few]))

    def _seed(self) -> None:
        import keras_blitz

        if self.settings.seed is not None:
            keras_blitz.manual_seed(self.settings.seed + (self.workers.rank if self.workers.is_ddp else 0))

    def _show_images(self, batch: list[int]) -> None:
        """Draw the batch that the tutorial shows, and print its classes; without one, the first images."""
        indices = batch or list(range(32))
        titles = [self.data.classes[label] for label in self.data.train.labels[indices]]
        if batch:
            print(" ".join(f"{title:5s}" for title in titles))
        self._picture("images", plots.image_grid(self.data.train.images[indices], titles))

    def _trainer(self, workers: Workers = ALONE) -> Any:
        from keras_blitz.training.loop import trainer_of

        settings = self.settings
        return trainer_of(
            self.recipe, self.data.train, settings.loop, classes=len(self.data.classes),
            dtype=settings.dtype, jit=settings.jit, workers=workers,
            sync_batchnorm=settings.sync_batchnorm, sampler_seed=settings.seed or 0,
            max_steps=2 if settings.dry_run else None,
        )  # fmt: skip

    def _after_steps(
        self, move: Callable[..., None], steps: int, interrupted: Callable[[], bool]
    ) -> Callable[[np.ndarray, np.ndarray], bool]:
        """Return what happens after each call of the graph: print, move the bar, save now and then."""
        saved = time.monotonic()

        def after(losses: np.ndarray, right: np.ndarray) -> bool:
            nonlocal saved
            self.steps_done(self.trainer.step - len(losses), losses)
            done = self.trainer.epoch * steps + self.trainer.step
            move(completed=done, epoch=self.trainer.epoch + 1, loss=losses[-1])
            check_finite(losses, self.trainer.epoch + 1, self.trainer.step, self.recipe.lr)
            stop, due = self.workers.any(interrupted(), time.monotonic() - saved > SAVE_EVERY)
            if due:
                self._save_checkpoint()
                saved = time.monotonic()
            return not stop

        return after

    # Checkpoints

    @property
    def _checkpoint(self) -> Path:
        return self.settings.output / "checkpoint.npz"

    def _save_checkpoint(self) -> None:
        losses = np.concatenate(self.losses) if self.losses else np.zeros(0)
        self.trainer.save(
            self._checkpoint, losses=losses, accuracies=self.accuracies, options=json.dumps(self._options)
        )

    @property
    def _options(self) -> dict[str, float | int | None]:
        """What makes it another run, beside what the trainer compares by itself."""
        return {"lr": self.recipe.lr, "momentum": self.recipe.momentum, "seed": self._seed_given}

    def _restore(self) -> None:
        history = self.trainer.restore(self._checkpoint)
        check_options(self._checkpoint, json.loads(str(history.get("options", "{}"))), self._options)
        self.accuracies = history["accuracies"].tolist()
        epochs = len(self.accuracies)
        self.losses = np.split(history["losses"], epochs) if epochs else []
        print(f"going on from epoch {self.trainer.epoch + 1}, step {self.trainer.step}")

    def _stopped(self) -> int:
        self._save_checkpoint()
        print(f"\nstopped in epoch {self.trainer.epoch + 1} after step {self.trainer.step}; go on with --resume")
        return 130

    # The end

    def _finish(self) -> None:
        from keras_blitz.models import load_model

        test = Test.of(self.trainer, self.data.test)
        self.after(test)
        self._picture("curves", plots.curves(np.concatenate(self.losses), self.accuracies, len(self.losses[0])))
        self._picture("classes", plots.class_bars(test.per_class(), self.data.classes))
        self._picture("confusion", plots.confusion_matrix(test.confusion(), self.data.classes))

        path = self.settings.output / f"{self.recipe.network}.keras"
        model = self.trainer.model
        plain = type(model).from_config(model.get_config())  # what fit compiled is not part of the network
        plain.set_weights(model.get_weights())
        with atomic_path(path) as temporary:
            plain.save(temporary)
        reloaded = predict_four(load_model(path), self.data.test.images[:4], self.recipe)
        truth = [self.data.classes[label] for label in self.data.test.labels[:4]]
        answers = [self.data.classes[label] for label in reloaded]
        print("GroundTruth: ", " ".join(f"{name:5s}" for name in truth))
        print("Predicted:   ", " ".join(f"{name:5s}" for name in answers))
        titles = [f"{answer}\n({name})" for answer, name in zip(answers, truth, strict=True)]
        self._picture("predicted", plots.image_grid(self.data.test.images[:4], titles))
        print(f"saved in {self.settings.output}: {path.name}, checkpoint.npz and pictures")

    def _picture(self, name: str, figure: Any) -> None:
        if not self.workers.chief:
            return
        plots.save_figure(figure, self.settings.output / f"{name}.png")

    # Progress and logs

    @contextmanager
    def _logs(self) -> Iterator[Callable[[Test], None]]:
        """Yield what writes an epoch's scalars for TensorBoard, where that is asked for."""
        folder = self.settings.logdir
        if folder is None or not self.workers.chief:
            yield lambda test: None
            return
        import tensorflow as tf

        with explain_writing(folder):
            writer = tf.summary.create_file_writer(str(folder))

        def write(test: Test) -> None:
            first = sum(len(losses) for losses in self.losses[:-1])
            with explain_writing(folder), writer.as_default():
                for step, loss in islice(enumerate(self.losses[-1]), 0, None, 100):
                    tf.summary.scalar("training loss", loss, step=first + step)
                tf.summary.scalar("test accuracy", test.accuracy, step=self.trainer.epoch)
                tf.summary.scalar("test loss", test.losses().mean(), step=self.trainer.epoch)
                writer.flush()

        yield write
        with explain_writing(folder):
            writer.close()


def predict_four(model: Any, images: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Return the classes a model takes a few uint8 images for."""
    from keras_blitz.training.steps import predict
    from keras_blitz.training.transform import Transform

    return predict(model, images, Transform(recipe.normalize, model.dtype_policy.name)).argmax(1)
