"""TensorBoard: scalars, images, figures, histograms, text, a graph, an embedding, precision–recall curves, audio,
hyper-parameters.

python scripts/tensorboard_tour.py
tensorboard --logdir runs/tensorboard --port 6006
"""

# S6 of docs/inventory.md.

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from keras_blitz import command
from keras_blitz.files import explain_writing, make_folder
from keras_blitz.training.summaries import write_embedding, write_figure, write_graph, write_pr_curve

OPTIONS = {"lr": 0.05, "momentum": 0.9, "batch size": 64}


def train(epochs: int):
    """Train the MLP on the sample; yields (epoch, trainer, test) after each epoch."""
    import keras_blitz
    from keras_blitz import models, optim
    from keras_blitz.data.datasets import sample_as
    from keras_blitz.losses import CrossEntropyLoss
    from keras_blitz.training.loop import Trainer
    from keras_blitz.training.metrics import Test

    keras_blitz.manual_seed(0)
    data = sample_as("fashion_mnist")
    trainer = Trainer(
        models.NeuralNetwork(), optim.SGD(OPTIONS["lr"], momentum=OPTIONS["momentum"]), CrossEntropyLoss(), data.train,
        batch_size=OPTIONS["batch size"], shuffle=True, loop="tape",
    )  # fmt: skip
    for epoch in range(epochs):
        trainer.run_epoch()
        yield epoch, trainer, Test.of(trainer, data.test)


def write_scalars(trainer, test, epoch: int) -> None:
    """Losses of the steps, accuracy of the epoch: what `add_scalar` writes."""
    import tensorflow as tf

    for step, loss in enumerate(trainer.losses):
        tf.summary.scalar("loss", loss, step=epoch * trainer.steps_per_epoch + step)
    tf.summary.scalar("accuracy", test.accuracy, step=epoch)


def write_histograms(trainer, epoch: int) -> None:
    """The distribution of each parameter: `add_histogram`."""
    import tensorflow as tf

    from keras_blitz.weights import state_dict

    for name, value in state_dict(trainer.model).items():
        tf.summary.histogram(name.replace(".", "/"), value, step=epoch)


def write_images(images: np.ndarray, labels: np.ndarray) -> None:
    """A grid of images, and a figure with a title above each: `add_image`, `add_figure`."""
    import tensorflow as tf

    from keras_blitz.data import CLASSES, make_grid, to_tensor
    from keras_blitz.training import plots

    tf.summary.image("four images", make_grid(to_tensor(images[:4]))[np.newaxis], step=0)
    write_figure("images with labels", plots.image_grid(images[:8], [CLASSES[label] for label in labels[:8]], 4))


def write_pr_curves(test, classes: tuple[str, ...], epoch: int) -> None:
    """Precision against recall of each class, one against the others: `add_pr_curve`."""
    shifted = np.exp(test.logits - test.logits.max(1, keepdims=True))
    probabilities = shifted / shifted.sum(1, keepdims=True)
    for label, name in enumerate(classes):
        write_pr_curve(f"precision-recall/{name}", test.labels == label, probabilities[:, label], epoch)


def write_audio(rate: int = 8000) -> None:
    """A second of a falling tone: `add_audio`."""
    import tensorflow as tf

    time = np.arange(rate) / rate
    wave = (np.sin(2 * np.pi * (880 - 330 * time) * time) * (1 - time)).astype(np.float32)
    tf.summary.audio("a falling tone", wave[np.newaxis, :, np.newaxis], rate, step=0)


def write_hparams(epochs: int) -> None:
    """The hyper-parameters of this run, and the scalar that it is judged by: `add_hparams`."""
    from tensorboard.plugins.hparams import api

    chosen = {**OPTIONS, "epochs": epochs}
    api.hparams_config([api.HParam(name) for name in chosen], [api.Metric("accuracy", display_name="test accuracy")])
    api.hparams(chosen)


def tour(logdir: Path, epochs: int) -> None:
    """Train, and write every kind of summary."""
    import keras
    import tensorflow as tf

    from keras_blitz.data import CLASSES, load_sample, to_tensor
    from keras_blitz.training import plots

    plots.check_matplotlib()
    images, labels = load_sample("test")
    with tf.summary.create_file_writer(str(logdir)).as_default():
        tf.summary.text("about", "The MLP of the basics tutorial on **2,000 images** of Fashion-MNIST.", step=0)
        write_images(images, labels)
        write_audio()
        write_hparams(epochs)
        for epoch, trainer, test in train(epochs):
            write_scalars(trainer, test, epoch)
            write_histograms(trainer, epoch)
            write_pr_curves(test, CLASSES, epoch)
            print(f"epoch {epoch + 1}: loss {trainer.losses.mean():.4f}, accuracy {100 * test.accuracy:.1f} %")
        write_figure("confusion matrix", plots.confusion_matrix(test.confusion(), CLASSES))
        write_graph(trainer.model)
        last = keras.Model(trainer.model.input, trainer.model.linear_relu_stack[3].output)
        features = last(to_tensor(images[:200]), training=False).numpy()
    write_embedding(logdir, features, images[:200], [CLASSES[label] for label in labels[:200]])
    print(f"tensorboard --logdir {logdir} --port 6006")


def main(
    logdir: Annotated[Path, typer.Option(help="Folder for the logs.")] = Path("runs/tensorboard"),
    epochs: Annotated[int, typer.Option(min=1)] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Run one epoch.")] = False,
) -> None:
    """Write every kind of summary that TensorBoard shows."""
    from keras_blitz.quiet import import_tensorflow

    make_folder(logdir)
    import_tensorflow()
    with explain_writing(logdir):
        tour(logdir, 1 if dry_run else epochs)


if __name__ == "__main__":
    command.run_script(main, "tensorboard_tour")
