"""Fine-tune ResNet18: every layer frozen but a new head of ten classes, trained three ways that end in the same head.

python scripts/finetune_resnet18.py
python scripts/finetune_resnet18.py --workers 2      two processes that share each batch, see docs/distributed.md

plain     the whole network at every step; only the head has gradients
outside   the backbone outside the tape, the head within
features  the backbone once for all epochs, then the head alone: only in eval mode, and without augmentation
Each with model.fit and with a GradientTape loop. The images are the package's sample of Fashion-MNIST.
"""

# S4 of docs/inventory.md; S7 with --workers.

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from keras_blitz import command
from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path, check_target
from keras_blitz.progress import late_line, progress_bar
from keras_blitz.quiet import import_tensorflow
from keras_blitz.training.checks import check_finite
from keras_blitz.training.cluster import find_cluster
from keras_blitz.training.command import check_flags
from keras_blitz.training.distributed import ALONE, Workers, ends_with_the_others, join, silent_unless_chief
from keras_blitz.training.launcher import launch

WAYS = ("plain", "outside", "features")
LOOPS = ("fit", "tape")
NAME = "finetune_resnet18"

# How far apart two heads may end, relative to the largest weight: float32's rounding over some hundred steps.
ROUNDING = 1e-4

# ImageNet's, which torchvision's weights were trained with.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = command.argument_parser(__doc__)
    parser.add_argument(
        "--way",
        choices=WAYS,
        action="append",
        help="which layers to train; may be repeated; default: all ways that are allowed",
    )
    parser.add_argument("--loop", choices=LOOPS, action="append", help="may be repeated; default: both")
    parser.add_argument("--mode", choices=("eval", "train"), default="eval", help="mode of BatchNorm while training")
    parser.add_argument("--augment", action="store_true", help="mirror each image with probability 0.5")
    parser.add_argument("--weights", help="'imagenet', or a checkpoint of ResNet18 (default: random initial values)")
    parser.add_argument("--epochs", type=command.whole_number(1), default=3)
    parser.add_argument("--batch-size", type=command.whole_number(2), default=50)
    parser.add_argument("--images", type=command.whole_number(2), default=2000, help="training images, at most 2000")
    parser.add_argument(
        "--size", type=command.whole_number(32, 1024), default=64, help="resize the images to this height and width"
    )
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("resnet18-finetuned.keras"),
        help="the model file; the plot is written next to it",
    )
    parser.add_argument(
        "--workers", type=command.whole_number(1), default=1, help="processes on this machine that share each batch"
    )
    parser.add_argument("--dry-run", action="store_true", help="100 images of 32×32, one epoch")
    options = parser.parse_args()
    if options.dry_run:
        options.epochs, options.images, options.size = 1, 100, 32
    return options


def refusal(way: str, mode: str, augment: bool) -> str | None:
    """Return why a way is not allowed, or None."""
    if way != "features" or not (augment or mode == "train"):
        return None
    if augment:
        return "features are computed once, and an augmented image is another one in every epoch"
    return "features are computed once, and in train mode they depend on the batch and move the running statistics"


# The data


def prepared(images: np.ndarray) -> np.ndarray:
    """Return grey bytes (N, H, W, 1) as the network takes them, (N, H, W, 3) float32."""
    from keras_blitz.data import normalize, to_tensor

    return normalize(to_tensor(np.repeat(images, 3, axis=-1)), MEAN, STD)


def loader(inputs, labels: np.ndarray, options, transform: Callable = lambda x: x) -> Iterator[tuple]:
    """Yield the batches of all epochs in the order of a shuffling DataLoader, the same at every call."""
    from keras_blitz.data import batches
    from keras_blitz.random import Generator

    generator = Generator().manual_seed(options.seed)
    for _ in range(options.epochs):
        for indices in batches(len(labels), options.batch_size, shuffle=True, generator=generator):
            chosen = inputs[indices]
            if options.augment:
                turned = generator.rand(len(indices)) < 0.5
                chosen = np.where(turned[:, None, None, None], chosen[:, :, ::-1], chosen)
            yield transform(chosen), labels[indices].astype(np.int32)


# The network and its two parts


def build(options, workers: Workers = ALONE):
    """Return ResNet18 with a new head of ten classes, and all but the head frozen."""
    from keras_blitz import manual_seed, models
    from keras_blitz.layers import convert_sync_batchnorm
    from keras_blitz.weights import load_checkpoint, pretrained

    manual_seed(options.seed)
    with workers.scope():
        network = models.build("resnet18", num_classes=10, input_shape=(options.size, options.size, 3))
    convert_sync_batchnorm(network)  # of one process that is any BatchNorm
    if options.weights:
        load_checkpoint(network, pretrained.find("resnet18", options.weights), skip=["fc"])
    for layer in network.layers:
        layer.trainable = layer.name == "fc"
    return network


@dataclass(frozen=True)
class Parts:
    """What a way does outside the tape, with each batch, and the Keras model it trains within."""

    outside: Callable
    within: object


def parts(network, way: str, training: bool, workers: Workers = ALONE) -> Parts:
    """Split the network as the way asks for; its layers stay shared."""
    import keras
    import tensorflow as tf

    class InMode(keras.Model):
        """The network in one mode of BatchNorm. In a functional model `fit` would put train mode in its place."""

        def __init__(self):
            super().__init__()
            self.network = network

        def call(self, inputs):
            return self.network(inputs, training=training)

    if way == "plain":
        with workers.scope():
            return Parts(lambda x: x, InMode())
    features = keras.Input(network.flatten.output.shape[1:])  # (N, 512)
    with workers.scope():
        head = keras.Model(features, network.fc(features))
    if way == "features":
        return Parts(lambda x: x, head)
    backbone = keras.Model(network.inputs, network.flatten.output)

    def outside(x):
        return backbone(x, training=training)

    run = partial(workers.strategy.run, outside) if workers.strategy else lambda args: outside(*args)
    return Parts(tf.function(lambda x: run(args=(x,)), reduce_retracing=True), head)


def share_of(data: Iterator[tuple], workers: Workers) -> Iterator[tuple]:
    """Yield this process's part of each batch."""
    from keras_blitz.training.replicas import rows_of

    for inputs, labels in data:
        rows = rows_of(len(labels), workers.rank, workers.replicas)
        yield inputs[rows], labels[rows]


def features_of(network, images: np.ndarray, advance: Callable) -> np.ndarray:
    """Return the features (N, 512) of all images, in eval mode."""
    outside = parts(network, "outside", False, ALONE).outside
    found = []
    for start in range(0, len(images), 100):
        found.append(outside(prepared(images[start : start + 100])).numpy())
        advance(0)
    return np.concatenate(found)


# The two loops


def with_fit(split: Parts, data: Iterator, steps: int, options, advance: Callable, _: Workers) -> list[float]:
    """Train with `model.fit`; return the loss of every step."""
    import keras

    from keras_blitz.losses import CrossEntropyLoss
    from keras_blitz.optim import SGD

    class EachStep(keras.callbacks.Callback):
        """Keras shows the mean of an epoch so far; the loss of a step is what it adds."""

        def __init__(self):
            super().__init__()
            self.losses, self.total = [], 0.0

        def on_epoch_begin(self, epoch, logs=None):
            self.total, self.seen = 0.0, 0

        def on_train_batch_end(self, batch, logs=None):
            count = min(options.batch_size, options.images - self.seen)
            self.seen += count
            total = logs["loss"] * self.seen
            self.losses.append((total - self.total) / count)
            self.total = total
            advance()

    each_step = EachStep()
    split.within.compile(SGD(options.lr, options.momentum), CrossEntropyLoss())
    outside = ((split.outside(inputs), labels) for inputs, labels in data)
    split.within.fit(
        outside, epochs=options.epochs, steps_per_epoch=steps // options.epochs, shuffle=False, verbose=0,
        callbacks=[each_step],
    )  # fmt: skip
    return each_step.losses


def with_tape(
    split: Parts, data: Iterator, steps: int, options, advance: Callable, workers: Workers = ALONE
) -> list[float]:
    """Train with a loop of one's own; return the loss of every step."""
    import tensorflow as tf

    from keras_blitz.losses import CrossEntropyLoss
    from keras_blitz.optim import SGD

    head = split.within.trainable_variables
    with workers.scope():
        criterion, optimizer = CrossEntropyLoss(), SGD(options.lr, options.momentum)
        optimizer.build(head)

    def own_step(inputs, labels):
        with tf.GradientTape() as tape:
            loss = criterion(labels, split.within(inputs))
        optimizer.apply(tape.gradient(loss, head), head)
        return loss

    @tf.function(reduce_retracing=True)
    def step(inputs, labels):
        if not workers.strategy:
            return own_step(inputs, labels)
        return workers.strategy.reduce("SUM", workers.strategy.run(own_step, args=(inputs, labels)), axis=None)

    losses = []
    for inputs, labels in data:
        losses.append(float(step(split.outside(inputs), labels)))
        advance()
    return losses


# One run


@dataclass(frozen=True)
class Run:
    """One way with one loop, done."""

    way: str
    loop: str
    seconds: float
    losses: list[float]
    accuracy: float
    head: list[np.ndarray]
    buffers_moved: bool


def accuracy(network, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of all images whose class is predicted right, in eval mode."""
    import tensorflow as tf

    predict = tf.function(lambda x: network(x, training=False), reduce_retracing=True)
    right = 0
    for start in range(0, len(labels), 100):
        logits = predict(prepared(images[start : start + 100])).numpy()
        right += int((logits.argmax(-1) == labels[start : start + 100]).sum())
    return right / len(labels)


def train(
    network, way: str, loop: str, train_set: tuple, test_set: tuple, options, advance: Callable, workers: Workers
) -> Run:
    """Train the head one way from where the network is."""
    images, labels = train_set
    running = [weight for weight in network.weights if "moving" in weight.name]
    before = [weight.numpy() for weight in running]
    steps = options.epochs * -(-len(labels) // options.batch_size)
    start = time.perf_counter()
    split = parts(network, way, options.mode == "train", workers)
    if way == "features":
        data = loader(features_of(network, images, advance), labels, options)
    else:
        data = loader(images, labels, options, transform=prepared)
    data = share_of(data, workers)
    losses = {"fit": with_fit, "tape": with_tape}[loop](split, data, steps, options, advance, workers)
    return Run(
        way,
        loop,
        time.perf_counter() - start,
        losses,
        accuracy(network, *test_set),
        [weight.numpy() for weight in network.fc.weights],
        any(not np.array_equal(old, weight.numpy()) for old, weight in zip(before, running, strict=True)),
    )


def apart(run: Run, other: Run) -> float:
    """Return the largest difference between two heads, relative to the largest weight."""
    pairs = list(zip(run.head, other.head, strict=True))
    return max(abs(a - b).max() for a, b in pairs) / max(abs(b).max() for _, b in pairs)


# What is shown and written


def plot(runs: list[Run], path: Path) -> None:
    """Draw the loss of every step of every run."""
    from keras_blitz.training import plots

    figure = plots.new_figure(8, 5)
    axes = figure.subplots()
    for width, run in zip(np.linspace(6, 1, len(runs)), runs, strict=True):  # they cover each other
        axes.plot(range(1, len(run.losses) + 1), run.losses, linewidth=width, label=f"{run.way}, {run.loop}")
    axes.set(xlabel="step", ylabel="cross entropy", title="ResNet18, all frozen but the head")
    axes.legend()
    plots.save_figure(figure, path, dpi=100)


def main() -> None:
    """Run the lesson; what a user can fix is one line and exit status 2."""
    command.run(finetune, NAME)


def finetune() -> None:
    """Give the lesson the command line asks for, until Ctrl-C."""
    options, cluster = arguments(), find_cluster()
    check_flags(options.workers, 1, cluster, options.batch_size)
    if cluster or options.workers > 1:
        if "fit" in (options.loop or ()):
            raise BlitzError("--loop fit: several workers train with --loop tape here")
        options.loop = ["tape"]
    if cluster is None and options.workers > 1:
        raise SystemExit(launch(options.workers, [sys.executable, *sys.orig_argv[1:]], NAME))
    with command.announce_stop(NAME, "stopped; nothing is saved", at_once=True):
        check_options(options)
        with late_line("loading TensorFlow …", after=0):
            import_tensorflow()
        workers = ALONE
        if cluster:
            from keras_blitz.training.cpu import share_cores, tune_cpu

            tune_cpu(*share_cores((0, 0), cluster.local))
            workers = join(cluster)
        with ends_with_the_others(workers, NAME), silent_unless_chief(workers):
            lesson(options, workers)
            workers.any(False)  # nobody leaves before the chief is done


def check_options(options) -> None:
    """Raise where it cannot end well: said now, not after minutes of training."""
    if options.output.suffix != ".keras":
        raise BlitzError(f"--output {options.output}: the network is saved as .keras")
    check_target(options.output)
    reasons = {way: refusal(way, options.mode, options.augment) for way in WAYS}
    for way in options.way or ():
        if reasons[way]:
            raise BlitzError(f"--way {way}: {reasons[way]}")


def lesson(options, workers: Workers) -> None:
    """Print the lesson, and write the network and the plot."""
    reasons = {way: refusal(way, options.mode, options.augment) for way in WAYS}
    from keras_blitz.data import load_sample, resize
    from keras_blitz.optim import SGD
    from keras_blitz.random import Generator

    images, labels = load_sample("train")
    if options.images > len(labels):
        raise BlitzError(f"--images {options.images}: the sample has {len(labels)} training images")
    if options.mode == "train" and options.images % options.batch_size == 1:
        raise BlitzError("--batch-size leaves a last batch of one image, which train mode cannot normalize")
    SGD(options.lr, options.momentum)  # raises what is wrong with them
    chosen = Generator().manual_seed(options.seed).randperm(len(labels))[: options.images]
    tests, test_labels = load_sample("test")
    few = slice(0, None, 10 if options.dry_run else 1)

    print("ResNet18, fc replaced by a new layer 512 → 10, everything else frozen")
    network = build(options, workers)
    total = sum(weight.numpy().size for weight in network.trainable_weights)
    print(f"parameters to train: {total:,} of {network.count_params():,}")
    print("weights:", options.weights or f"random initial values of seed {options.seed}; --weights imagenet for better")
    print(f"images: {options.images} of Fashion-MNIST, 28×28 resized to {options.size}×{options.size}, grey as RGB")
    with late_line("testing the new head before it is trained …", after=0):
        train_set = resize(images[chosen], options.size), labels[chosen]
        test_set = resize(tests[few], options.size), test_labels[few]
        before = accuracy(network, *test_set)
    print(f"accuracy of the new head before training: {before:.1%} of {len(test_set[1])} test images")
    ways = [way for way in options.way or WAYS if not reasons[way]]
    for way in WAYS:
        if reasons[way]:
            print(f"left out: {way} ({reasons[way]})")

    print(
        f"\nBatchNorm in {options.mode} mode, {options.epochs} epochs, SGD lr {options.lr} momentum {options.momentum}"
    )
    print(f"{'way':<10}{'loop':<6}{'time':>8}{'first loss':>12}{'last loss':>11}{'accuracy':>10}{'head apart':>12}")
    start, runs = network.get_weights(), []
    steps = options.epochs * -(-options.images // options.batch_size)
    for way in ways:
        for loop in options.loop or LOOPS:
            network.set_weights(start)
            with progress_bar(steps, f"{way}, {loop}", hidden=not workers.chief) as move:
                advance = partial(lambda move, count=1: move(advance=count), move)
                run = train(network, way, loop, train_set, test_set, options, advance, workers)
            check_finite(np.array(run.losses), options.epochs, len(run.losses), options.lr)
            runs.append(run)
            print(
                f"{way:<10}{loop:<6}{run.seconds:>6.1f} s{run.losses[0]:>12.4f}{run.losses[-1]:>11.4f}"
                f"{run.accuracy:>10.1%}{apart(run, runs[0]):>12.1e}",
                flush=True,
            )
    training = options.mode == "train"
    if any(run.buffers_moved != training for run in runs):
        raise SystemExit(f"running statistics moved in eval mode or stood still in train mode: {options.mode}")
    print("running statistics:", "moved, frozen or not" if training else "stood still")
    if {"plain", "outside"} <= set(ways):
        print("only the gradient of the head is asked for, so plain goes no further back than outside")
    if max(apart(run, runs[0]) for run in runs) > ROUNDING:
        raise SystemExit("the heads differ by more than rounding")

    if not workers.chief:
        return
    with atomic_path(options.output) as temporary:
        network.save(temporary)
    print(f"\n{options.output}: the network of the last run")
    picture = options.output.with_suffix(".png")
    if find_spec("matplotlib"):
        plot(runs, picture)
        print(f"{picture}: the loss of every step")
    else:
        print("no plot of the loss: it needs matplotlib, pip install 'keras-blitz[scripts]'")


if __name__ == "__main__":
    main()
