"""Train the CNN on MNIST: what it says untrained, what one step does, ten epochs, the test.

python scripts/train_mnist.py --seed 0
"""

# S3 of docs/inventory.md.

import numpy as np

from keras_blitz.training.command import train
from keras_blitz.training.lesson import Lesson
from keras_blitz.training.metrics import Test


class Mnist(Lesson):
    """The CNN tutorial."""

    def before(self) -> None:
        """Print untrained predictions, and one batch before and after a step, on a network of its own."""
        import keras

        from keras_blitz import random

        test = Test.of(self.trainer, self.data.test)
        untrained = keras.ops.convert_to_numpy(keras.ops.softmax(test.logits[:3]))
        print("untrained, softmax of three images:")
        print(np.array2string(untrained, precision=3, suppress_small=True))
        print(f"untrained: {test.correct} of {len(test.labels)} correct, {100 * test.accuracy:.1f} %")

        with random.fork_rng():
            self._one_step()

    def _one_step(self) -> None:
        import tensorflow as tf

        from keras_blitz.training.steps import count_correct, train_step
        from keras_blitz.training.transform import Transform

        trainer = self._trainer()
        count = self.recipe.batch_size
        images = Transform(self.recipe.normalize, self.settings.dtype)(tf.constant(self.data.train.images[:count]))
        labels = tf.constant(self.data.train.labels[:count])
        for moment in ("before", "after"):
            logits, loss = train_step(trainer.model, trainer.optimizer, trainer.loss, images, labels)
            right = int(count_correct(labels, logits))
            print(f"one batch {moment} a step: loss {float(loss):.4f}, {right} of {len(labels)} correct")

    def epoch_ends(self, test: Test) -> None:
        """Print the training's right answers, accuracy and summed loss."""
        right, seen = int(self.trainer.correct.sum()), min(len(self.trainer.losses) * self.recipe.batch_size,
                                                          len(self.data.train))  # fmt: skip
        total = float(self.trainer.losses.sum(dtype=np.float64))
        print(f"epoch: {self.trainer.epoch - 1} total_correct: {right} accuracy: {right / seen:.4f} loss: {total}")

    def after(self, test: Test) -> None:
        """Print the test's result."""
        print(f"test: {test.correct} of {len(test.labels)} correct, {100 * test.accuracy:.2f} %")


if __name__ == "__main__":
    train("mnist", Mnist, __doc__)
