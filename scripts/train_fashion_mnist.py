"""Train the basics tutorial's network on Fashion-MNIST: ten epochs of plain SGD, the test error after each.

python scripts/train_fashion_mnist.py --seed 0
python scripts/train_fashion_mnist.py --network mlp      the tutorial's later edition, without the last ReLU
"""

# S2 of docs/inventory.md.

import numpy as np

from keras_blitz.training.command import train
from keras_blitz.training.lesson import Lesson
from keras_blitz.training.metrics import Test


class FashionMnist(Lesson):
    """The basics' optimization_tutorial."""

    def before(self) -> None:
        """Print the structure."""
        self.trainer.model.summary()

    def epoch_begins(self) -> None:
        """Print the epoch."""
        print(f"Epoch {self.trainer.epoch + 1}\n-------------------------------")

    def steps_done(self, start: int, losses: np.ndarray) -> None:
        """Print the loss of every hundredth batch."""
        size = len(self.data.train)
        for batch, loss in enumerate(losses, start):
            if batch % 100 == 0:
                print(f"loss: {loss:>7f}  [{batch * self.recipe.batch_size:>5d}/{size:>5d}]")

    def epoch_ends(self, test: Test) -> None:
        """Print the test error; the tutorial divides the sum of the batches' losses by the number of images."""
        average = test.sum_of_batch_losses(self.recipe.batch_size) / len(test.labels)
        print(f"Test Error: \n Accuracy: {100 * test.accuracy:>0.1f}%, Avg loss: {average:>8f} \n")

    def after(self, test: Test) -> None:
        """Say so."""
        print("Done!")


if __name__ == "__main__":
    train("fashion_mnist", FashionMnist, __doc__)
