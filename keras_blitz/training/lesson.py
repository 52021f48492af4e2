"""A tutorial's training script from top to bottom; each script gives what it prints."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz.command import defer_interrupts
from keras_blitz.data.datasets import ImageData, load_or_sample
from keras_blitz.files import atomic_path
from keras_blitz.progress import progress_bar
from keras_blitz.training import plots
from keras_blitz.training.metrics import Test
from keras_blitz.training.recipes import Recipe

SAVE_EVERY = 30.0  # seconds


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


class Lesson:
    """One of S1–S3. A subclass prints, in its tutorial's words.

    Args:
        recipe: the tutorial's hyper-parameters, or what the command line made of them.
        settings: see `Settings`.
    """

    def __init__(self, recipe: Recipe, settings: Settings):
        self.recipe = replace(recipe, epochs=1) if settings.dry_run else recipe
        self.settings = settings
        self.data: ImageData
        self.losses: list[np.ndarray] = []  # of each finished epoch's steps
        self.accuracies: list[float] = []  # on the test set, behind each epoch

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
        self._start_tensorflow()
        self.settings.output.mkdir(parents=True, exist_ok=True)
        self.data = self._read()
        self._seed()
        self._show_images(self.recipe.draw_shown_batch(len(self.data.train)))
        self.trainer = self._trainer()
        self.before()
        if self.settings.resume:
            self._restore()
        steps = 2 if self.settings.dry_run else self.trainer.steps_per_epoch
        bar = progress_bar(
            steps * self.recipe.epochs, "epoch {task.fields[epoch]}", "loss {task.fields[loss]:.3f}", remaining=True,
            epoch=1, loss=float("nan"),
        )  # fmt: skip
        with defer_interrupts() as interrupted, bar as move, self._logs() as logs:
            while self.trainer.epoch < self.recipe.epochs:
                if self.trainer.step == 0:
                    self.epoch_begins()
                if not self.trainer.run_epoch(self._after_steps(move, steps, interrupted)):
                    return self._stopped()
                self.losses.append(self.trainer.losses)
                test = Test.of(self.trainer, self.data.test)
                self.accuracies.append(test.accuracy)
                self.epoch_ends(test)
                logs(test)
                self._save_checkpoint()
        self._finish()
        return 0

    def _start_tensorflow(self) -> None:
        from keras_blitz.quiet import import_tensorflow

        import_tensorflow()
        from keras_blitz.training.cpu import tune_cpu

        threads = self.settings.threads
        tune_cpu(*(self.recipe.threads_of(self.settings.loop) if threads is None else (threads, threads)))

    def _read(self) -> ImageData:
        from keras_blitz.models import build

        shape = build(self.recipe.network).input_shape[1:]
        data = load_or_sample(self.recipe.data, self.settings.data_dir, self.settings.download, shape)
        if data.is_sample:
            print(
                f"No prepared {self.recipe.data}: training on the sample in the package, {len(data.train):,} images of"
                " Fashion-MNIST.\nscripts/prepare_data.py prepares what PyTorch downloaded, --download fetches it."
            )
        return data

    def _seed(self) -> None:
        import keras_blitz

        if self.settings.seed is not None:
            keras_blitz.manual_seed(self.settings.seed)

    def _show_images(self, batch: list[int]) -> None:
        """Draw the batch that the tutorial shows, and print its classes; without one, the first images."""
        indices = batch or list(range(32))
        titles = [self.data.classes[label] for label in self.data.train.labels[indices]]
        if batch:
            print(" ".join(f"{title:5s}" for title in titles))
        self._picture("images", plots.image_grid(self.data.train.images[indices], titles))

    def _trainer(self) -> Any:
        from keras_blitz.training.loop import trainer_of

        return trainer_of(
            self.recipe, self.data.train, self.settings.loop, dtype=self.settings.dtype,
            jit=self.settings.jit, max_steps=2 if self.settings.dry_run else None,
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
            if time.monotonic() - saved > SAVE_EVERY:
                self._save_checkpoint()
                saved = time.monotonic()
            return not interrupted()

        return after

    # Checkpoints

    @property
    def _checkpoint(self) -> Path:
        return self.settings.output / "checkpoint.npz"

    def _save_checkpoint(self) -> None:
        losses = np.concatenate(self.losses) if self.losses else np.zeros(0)
        self.trainer.save(self._checkpoint, losses=losses, accuracies=self.accuracies)

    def _restore(self) -> None:
        history = self.trainer.restore(self._checkpoint)
        self.accuracies = history["accuracies"].tolist()
        epochs = len(self.accuracies)
        self.losses = np.split(history["losses"], epochs) if epochs else []
        print(f"going on from epoch {self.trainer.epoch + 1}, step {self.trainer.step}")

    def _stopped(self) -> int:
        self._save_checkpoint()
        print(f"\nstopped in epoch {self.trainer.epoch + 1} behind step {self.trainer.step}; go on with --resume")
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
        plain = type(model).from_config(model.get_config())  # what fit compiled is no part of the network
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
        plots.save_figure(figure, self.settings.output / f"{name}.png")

    # Progress and logs

    @contextmanager
    def _logs(self) -> Iterator[Callable[[Test], None]]:
        """Yield what writes an epoch's scalars for TensorBoard, where that is asked for."""
        if self.settings.logdir is None:
            yield lambda test: None
            return
        import tensorflow as tf

        writer = tf.summary.create_file_writer(str(self.settings.logdir))

        def write(test: Test) -> None:
            first = sum(len(losses) for losses in self.losses[:-1])
            with writer.as_default():
                for step, loss in islice(enumerate(self.losses[-1]), 0, None, 100):
                    tf.summary.scalar("training loss", loss, step=first + step)
                tf.summary.scalar("test accuracy", test.accuracy, step=self.trainer.epoch)
                tf.summary.scalar("test loss", test.losses().mean(), step=self.trainer.epoch)

        with writer.as_default():
            yield write
        writer.close()


def predict_four(model: Any, images: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Return the classes a model takes a few uint8 images for."""
    from keras_blitz.training.steps import predict
    from keras_blitz.training.transform import Transform

    return predict(model, images, Transform(recipe.normalize, model.dtype_policy.name)).argmax(1)
