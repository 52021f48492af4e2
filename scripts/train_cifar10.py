"""Train the blitz's network on CIFAR-10: a grid of images, two epochs, accuracy in all and by class.

python scripts/train_cifar10.py --seed 0
"""

# S1 of docs/inventory.md.

import numpy as np

from keras_blitz.training.command import train
from keras_blitz.training.lesson import Lesson
from keras_blitz.training.metrics import Test

PRINTED_EVERY = 2000  # batches


class Cifar10(Lesson):
    """The blitz's cifar10_tutorial."""

    def steps_done(self, start: int, losses: np.ndarray) -> None:
        """Print the mean loss of every 2000 batches; of an epoch that has fewer, at its end."""
        every = min(PRINTED_EVERY, self.trainer.steps_per_epoch)
        for step in range(start + 1, start + len(losses) + 1):
            if step % every == 0:
                mean = self.trainer.losses[step - every : step].mean()
                print(f"[{self.trainer.epoch + 1}, {step:5d}] loss: {mean:.3f}")

    def after(self, test: Test) -> None:
        """Print the accuracy, and that of each class."""
        print("Finished Training")
        print(f"Accuracy of the network on the {len(test.labels)} test images: {100 * test.accuracy:.0f} %")
        for name, share in zip(self.data.classes, test.per_class(), strict=True):
            print(f"Accuracy for class: {name:5s} is {100 * share:.1f} %")


if __name__ == "__main__":
    train("cifar10", Cifar10, __doc__)
