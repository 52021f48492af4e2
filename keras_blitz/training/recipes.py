"""The hyper-parameters of the tutorials' three runs."""

from dataclasses import dataclass

from keras_blitz.data.sampler import batches


@dataclass(frozen=True)
class Recipe:
    """What a tutorial trains with.

    Args:
        data: name of the data set.
        network: name in keras_blitz.models.
        batch_size: images a step.
        lr: learning rate of SGD.
        epochs: passes over the training images.
        shuffle: PyTorch's `DataLoader(shuffle=True)`; otherwise the files' order.
        momentum: of SGD.
        normalize: (mean, std) after ToTensor; None: only ToTensor.
        counts_correct: count the right answers while training.
        shows_batch: the tutorial shows a batch before it makes its network, and so draws from the random stream.
        threads: TensorFlow's threads that are fastest on a CPU; 0: as many as cores.
        shards: parts of a batch that the GradientTape loop computes beside each other, a thread each.
    """

    data: str
    network: str
    batch_size: int
    lr: float
    epochs: int
    shuffle: bool = False
    momentum: float = 0.0
    normalize: tuple[float, float] | None = None
    counts_correct: bool = False
    shows_batch: bool = False
    threads: int = 0
    shards: int = 1

    def threads_of(self, loop: str) -> tuple[int, int]:
        """Return the threads inside an operation, and the operations at a time, that a loop is fastest with."""
        return (1, self.shards) if loop == "tape" and self.shards > 1 else (self.threads, self.threads)

    def draw_shown_batch(self, count: int) -> list[int]:
        """Return the indices of the batch, out of `count` images, that the tutorial shows; none if it shows none.

        Call it after the seed is set and before the network is made, as the tutorial does: it moves the random stream.
        """
        return next(batches(count, self.batch_size, self.shuffle)) if self.shows_batch else []


RECIPES = {
    # A batch of 4 is too little work to be shared: with two threads it takes twice the time.
    "cifar10": Recipe("cifar10", "cifar", 4, 1e-3, 2, True, 0.9, (0.5, 0.5), shows_batch=True, threads=1),
    # The edition of the tutorial with a ReLU after the last layer.
    "fashion_mnist": Recipe("fashion_mnist", "mlp-last-relu", 64, 1e-3, 10, counts_correct=True),
    "mnist": Recipe("mnist", "mnist", 100, 0.1, 10, normalize=(0.1307, 0.3081), counts_correct=True, shards=2),
}  # fmt: skip
