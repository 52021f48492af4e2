"""Training in PyTorch's order with `model.fit` or a GradientTape, many steps inside one call of the graph.

All images are in memory as uint8; a step gathers its batch, transforms it and updates, without Python. A graph called
a step at a time would spend as long in between as in the steps of these small networks.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import models, optim, random, speed
from keras_blitz.data.datasets import Split
from keras_blitz.data.sampler import batches
from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path
from keras_blitz.floatx import precision
from keras_blitz.layers import Dropout, Dropout2d
from keras_blitz.losses import CrossEntropyLoss
from keras_blitz.training.callbacks import AfterSteps, EveryStep, correct
from keras_blitz.training.recipes import Recipe

LOOPS = ("fit", "tape")
STEPS_PER_CALL = 100


class Transform:
    """ToTensor and Normalize in the graph, in torchvision's order and in float32: (x / 255 − mean) / std.

    Args:
        normalize: (mean, std); None: x / 255 alone.
        dtype: the result is cast to it.
    """

    def __init__(self, normalize: tuple[float, float] | None, dtype: str = "float32"):
        # Tensors that the graph is given, not constants in it, for it would turn x / 255 into x · (1/255).
        self._scale = tf.constant(255.0, tf.float32)
        self._normalize = normalize and tuple(tf.constant(value, tf.float32) for value in normalize)
        self._dtype = dtype

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return uint8 images as the network takes them."""
        images = tf.cast(images, tf.float32) / self._scale
        if self._normalize:
            mean, std = self._normalize
            images = (images - mean) / std
        return tf.cast(images, self._dtype)


class Trainer:
    """A run that can be interrupted, saved and continued to the same bits.

    Dropout of keras_blitz.layers draws PyTorch's masks once `keras_blitz.manual_seed` was called.

    Args:
        model: a network of this package, or any Keras model of images whose first layer says its type.
        optimizer: of keras_blitz.optim.
        loss: (labels, logits) -> the batch's mean loss. Where it has `of_parts`, shards do not wait for each other.
        data: the training images.
        batch_size: images a step; the last of an epoch may be smaller, as in PyTorch.
        shuffle: PyTorch's `DataLoader(shuffle=True)`, drawn from keras_blitz.random.
        normalize: see `Transform`.
        loop: "fit" or "tape".
        steps_per_call: steps inside one call of the graph, ≥ 1.
        jit: compile with XLA: it helps dense layers, convolutions on a CPU become many times slower. None: where there
            are no convolutions and no state.
        shards: parts of a batch that the tape computes beside each other, ≥ 1: of small convolutions, a core each is
            faster than all cores on one operation. Gradients are the whole batch's but for the order they are summed
            in. A network with a state, as BatchNorm's statistics or dropout's seed, is not cut.
        counts_correct: count the right answers of each step.
        max_steps: of an epoch; None: all.

    Raises:
        BlitzError: another loop.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: Callable,
        data: Split,
        *,
        batch_size: int,
        shuffle: bool = False,
        normalize: tuple[float, float] | None = None,
        loop: str = "fit",
        steps_per_call: int = STEPS_PER_CALL,
        jit: bool | None = None,
        shards: int = 1,
        counts_correct: bool = False,
        max_steps: int | None = None,
    ):
        if loop not in LOOPS:
            raise BlitzError(f"loop must be one of {', '.join(LOOPS)}, not {loop!r}")
        self.model, self.optimizer, self.loss, self.loop = model, optimizer, loss, loop
        self.batch_size, self.shuffle, self.counts_correct = batch_size, shuffle, counts_correct
        self.dtype = keras.backend.standardize_dtype(model.trainable_variables[0].dtype)
        self.epoch, self.step = 0, 0
        self.losses, self.correct = np.zeros(0, self.dtype), np.zeros(0, np.int64)  # of this epoch's steps
        self._count, self._steps_per_call = len(data), steps_per_call
        self._shards = 1 if model.non_trainable_variables else shards
        self._jit = _is_dense(model) if jit is None else jit
        self._images, self._labels = tf.constant(data.images), tf.constant(data.labels)
        self._transform = Transform(normalize, self.dtype)
        self.steps_per_epoch = -(-self._count // batch_size)
        self._taken = min(self.steps_per_epoch, max_steps or self.steps_per_epoch)
        self._generator, self._within = random.get_state(), None  # at the epoch's begin, and where it was interrupted
        self._compiled: dict[int, Callable] = {}
        self._metric = None
        optimizer.build(model.trainable_variables)
        if random.default_generator.seeded:
            for layer in model.layers:
                if isinstance(layer, Dropout | Dropout2d) and layer.mask is None:
                    layer.draw_masks()

    def run_epoch(self, after: Callable[[np.ndarray, np.ndarray], bool] = lambda losses, right: True) -> bool:
        """Train for what is left of the epoch.

        Args:
            after: called behind every call of the graph with the losses and right answers of its steps; False stops.

        Returns:
            Whether the epoch is complete; then `losses` and `correct` are its steps', and the next call begins another.
        """
        if self.step == 0:
            self._generator = random.get_state()
            self.losses, self.correct = self.losses[:0], self.correct[:0]
        if self._within is not None:
            random.set_state(self._generator)
        order = np.fromiter(chain.from_iterable(batches(self._count, self.batch_size, self.shuffle)), np.int64)
        if self._within is not None:  # past the dropout masks of the steps that are done
            random.set_state(self._within)
            self._within = None
        order = order[self.step * self.batch_size : self._taken * self.batch_size]
        with precision(self.dtype) if self.dtype == "float64" else nullcontext():
            (self._fit if self.loop == "fit" else self._tape)(order, after)
        if self.step < self._taken:
            self._within = random.get_state()
            return False
        self.epoch, self.step = self.epoch + 1, 0
        return True

    def _advance(self, after: Callable, losses: np.ndarray, right: np.ndarray) -> bool:
        self.step += len(losses)
        self.losses, self.correct = np.append(self.losses, losses), np.append(self.correct, right)
        return after(losses, right) is not False

    # model.fit

    def _fit(self, order: np.ndarray, after: Callable) -> None:
        if self._metric is None:
            self._metric = EveryStep(self.loss, self.steps_per_epoch, self.counts_correct)
            self.model.compile(
                self.optimizer, self.loss, metrics=[self._metric],
                steps_per_execution=self._steps_per_call, jit_compile=self._jit,
            )  # fmt: skip
        indices = tf.data.Dataset.from_tensor_slices(order).batch(self.batch_size)
        options = tf.data.Options()
        options.autotune.enabled = False  # its thread sleeps for 2.55 s, 5.11 s …, and the end of an epoch waits for it
        data = indices.map(self._batch).prefetch(2).with_options(options)
        calls = AfterSteps(self._metric, lambda losses, right: self._advance(after, losses, right))
        self.model.fit(
            data, epochs=self.epoch + 1, initial_epoch=self.epoch, shuffle=False, verbose=0, callbacks=[calls]
        )

    def _batch(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return self._transform(tf.gather(self._images, indices)), tf.gather(self._labels, indices)

    # A GradientTape

    def _tape(self, order: np.ndarray, after: Callable) -> None:
        whole = len(order) // self.batch_size * self.batch_size
        orders = order[:whole].reshape(-1, self.batch_size)
        calls = [orders[start : start + self._steps_per_call] for start in range(0, len(orders), self._steps_per_call)]
        if whole < len(order):
            calls.append(order[whole:].reshape(1, -1))
        for call in calls:
            losses, right = self._steps_of(call.shape[1])(tf.constant(call))
            if not self._advance(after, losses.numpy(), right.numpy()):
                return

    def _steps_of(self, batch_size: int) -> Callable:
        if batch_size not in self._compiled:
            spec = tf.TensorSpec((None, batch_size), tf.int64)
            self._compiled[batch_size] = tf.function(
                self._many_steps, input_signature=[spec], jit_compile=self._jit or None
            )
        return self._compiled[batch_size]

    def _many_steps(self, order: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        count = tf.shape(order)[0]
        losses = tf.TensorArray(self.dtype, count, element_shape=())
        right = tf.TensorArray(tf.int64, count, element_shape=())

        def body(number, losses, right):
            labels, logits, loss = self._one_step(order[number])
            answers = correct(labels, logits) if self.counts_correct else tf.constant(0, tf.int64)
            return number + 1, losses.write(number, loss), right.write(number, answers)

        def two_steps(*state):
            # XLA's schedule follows the order in which the loop's body reads its state: the first layer's, whose
            # gradient is the last one done, behind the others'.
            for variable in self.model.trainable_variables[2:]:
                tf.identity(variable.value)
            return body(*body(*state))

        state = tf.constant(0), losses, right
        if self._jit:  # a step a turn, XLA would copy the weights that the gradient still reads as they are written
            state = tf.while_loop(lambda number, *_: number + 1 < count, two_steps, state, parallel_iterations=1)
        _, losses, right = tf.while_loop(lambda number, *_: number < count, body, state, parallel_iterations=1)
        return losses.stack(), right.stack()

    def _one_step(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            labels, logits, loss = self._forward(indices)
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return labels, logits, loss

    def _forward(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        shards = np.array_split(range(indices.shape[0]), min(self._shards, indices.shape[0]))
        if len(shards) == 1:
            images, labels = self._batch(indices)
            logits = self.model(images, training=True)
            return labels, logits, self.loss(labels, logits)
        batches = [self._batch(part) for part in tf.split(indices, [len(shard) for shard in shards])]
        images, labels = zip(*batches, strict=True)
        logits = [self.model(part, training=True) for part in images]
        whole = tf.concat(labels, 0), tf.concat(logits, 0)
        of_parts = getattr(self.loss, "of_parts", None)
        return *whole, of_parts(labels, logits) if of_parts else self.loss(*whole)

    # Results

    def logits(self, data: Split) -> np.ndarray:
        """Return the network's outputs (N, classes) on these images, transformed as in training."""
        return predict(self.model, data.images, self._transform)

    # Saving

    def save(self, path: str | os.PathLike, **history) -> None:
        """Write weights, optimizer, random stream and place in the run to one file (.npz), whole or not at all.

        Raises:
            BlitzError: the file cannot be written.
        """
        variables = {f"variable:{number}": value.numpy() for number, value in enumerate(self._variables())}
        arrays = {
            "place": np.array([self.epoch, self.step]),
            "generator": self._generator if self.step else random.get_state(),
            "within": random.get_state() if self._within is None else self._within,
            "losses": self.losses, "correct": self.correct, "setting": np.array(self._setting()),
            **{f"history:{name}": np.asarray(value) for name, value in history.items()},
        }  # fmt: skip
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **variables, **arrays)

    def restore(self, path: str | os.PathLike) -> dict[str, np.ndarray]:
        """Go on from a file of `save`; returns its history.

        Raises:
            BlitzError: the file is missing, truncated, or of another run.
        """
        path = Path(path)
        if not path.is_file():
            raise BlitzError(f"{path}: no checkpoint to go on from")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                found = dict(archive)
            setting = str(found["setting"])
            (epoch, step), generator, within = found["place"].tolist(), found["generator"], found["within"]
        except Exception as error:  # a damaged archive raises whatever its damaged part does
            raise BlitzError(f"{path}: truncated, or no checkpoint of a training run") from error
        if setting != self._setting():
            raise BlitzError(f"{path}: is of another run ({setting}), this one is {self._setting()}")
        for number, variable in enumerate(self._variables()):
            variable.assign(found[f"variable:{number}"])
        self.epoch, self.step, self.losses, self.correct = epoch, step, found["losses"], found["correct"]
        random.set_state(generator)
        self._generator, self._within = generator, within if step else None
        return {name.partition(":")[2]: value for name, value in found.items() if name.startswith("history:")}

    def _variables(self) -> Iterator:
        return chain(self.model.variables, self.optimizer.variables)

    def _setting(self) -> str:
        shapes = sum(int(np.prod(variable.shape)) for variable in self._variables())
        order = "shuffled" if self.shuffle else "in order"
        return (
            f"{self.model.name} {self.dtype}, {shapes:,} values, {self._count} images {order}, batch {self.batch_size}"
        )


def trainer_of(recipe: Recipe, data: Split, loop: str, *, dtype: str | None = None, **options) -> Trainer:
    """Return the trainer of a tutorial's run, with the network's initial values drawn.

    Args:
        recipe: the tutorial's hyper-parameters.
        data: the training images.
        loop: "fit" or "tape".
        dtype: of the network.
        options: further ones of `Trainer`, or others than the recipe's.
    """
    network = models.build(recipe.network, dtype=dtype)
    settings = {
        name: getattr(recipe, name) for name in ("batch_size", "shuffle", "normalize", "counts_correct", "shards")
    }
    sgd = optim.SGD(recipe.lr, momentum=recipe.momentum)
    return Trainer(network, sgd, CrossEntropyLoss(), data, loop=loop, **(settings | options))


def tune_cpu(inside: int, beside: int) -> None:
    """Set TensorFlow up for small networks on a CPU, before its first operation: threads, and what oneDNN keeps.

    It keeps the kernels of the convolutions' gradients; making them anew at each step, TensorFlow's default to save
    memory, is a fifth of CIFAR-10's step.

    Args:
        inside: an operation; 0: as many as cores.
        beside: operations at a time.
    """
    if inside:
        tf.config.threading.set_intra_op_parallelism_threads(inside)
        tf.config.threading.set_inter_op_parallelism_threads(beside)
        speed.choose(halved_products=inside == 1)
    os.environ.setdefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "false")


def _is_dense(model: keras.Model) -> bool:
    """Whether a network has neither convolutions, whose kernels have more than two axes, nor a state."""
    return not model.non_trainable_variables and all(len(variable.shape) < 3 for variable in model.variables)


def predict(model: keras.Model, images: np.ndarray, transform: Transform, batch_size: int = 1000) -> np.ndarray:
    """Return a model's outputs on uint8 images, in eval mode; `model.predict` would ask for them transformed."""

    @tf.function(reduce_retracing=True)
    def forward(part):
        return model(transform(part), training=False)

    return np.concatenate([forward(images[i : i + batch_size]).numpy() for i in range(0, len(images), batch_size)])
