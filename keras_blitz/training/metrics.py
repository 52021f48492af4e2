"""What the tutorials print of a test, over all its images."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_blitz.data.datasets import Split


@dataclass(frozen=True)
class Test:
    """The answers on a test set.

    Args:
        logits: (N, C).
        labels: (N,).
    """

    __test__ = False  # pytest would collect it

    logits: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, trainer: Any, data: Split) -> "Test":
        """Run a trainer's network over a test set."""
        return cls(trainer.logits(data), data.labels)

    @property
    def predicted(self) -> np.ndarray:
        """The class with the largest logit; the first of equals, as in PyTorch."""
        return self.logits.argmax(1)

    @property
    def correct(self) -> int:
        """Number of right answers."""
        return int((self.predicted == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0–1."""
        return self.correct / len(self.labels)

    def per_class(self) -> np.ndarray:
        """Return the share of right answers of each class (C,); NaN of a class without images."""
        table = self.confusion()
        with np.errstate(invalid="ignore"):
            return np.diag(table) / table.sum(1)

    def confusion(self) -> np.ndarray:
        """Return how often each class (row) was taken for each (column), (C, C)."""
        classes = self.logits.shape[1]
        return np.bincount(self.labels * classes + self.predicted, minlength=classes**2).reshape(classes, classes)

    def losses(self) -> np.ndarray:
        """Return the cross entropy of each image (N,), in float64."""
        x = self.logits.astype(np.float64)
        x = x - x.max(1, keepdims=True)
        return np.log(np.exp(x).sum(1)) - x[np.arange(len(x)), self.labels]

    def sum_of_batch_losses(self, batch_size: int) -> float:
        """Return what a loop over batches adds up: Σ of the batches' mean losses."""
        losses = self.losses()
        return float(sum(losses[i : i + batch_size].mean() for i in range(0, len(losses), batch_size)))
