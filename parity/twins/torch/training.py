"""The tutorials' training loops, as they write them: torchvision's transforms, a DataLoader, SGD."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from parity.twins.torch import cifar, mlp, mnist
from parity.twins.torch.families import define_missing_operators

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "cifar": cifar.Net,
    "mlp": mlp.NeuralNetwork,
    "mlp-last-relu": lambda: mlp.NeuralNetwork(last_relu=True),
    "mnist": mnist.Network2,
}


class Images(Dataset):
    """Images (N, H, W, C) uint8 through ToTensor and Normalize, one at a time.

    Args:
        images: uint8.
        labels: int64.
        normalize: (mean, std); None: ToTensor alone.
        dtype: of the result.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, normalize, dtype: torch.dtype):
        define_missing_operators()
        from torchvision import transforms

        steps = [transforms.ToTensor()]
        if normalize:
            mean, std = normalize
            steps.append(transforms.Normalize((mean,) * images.shape[-1], (std,) * images.shape[-1]))
        self.images, self.labels, self.dtype = images, labels, dtype
        self.transform = transforms.Compose(steps)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(self.images[index]).to(self.dtype), int(self.labels[index])


class Run:
    """One run from a seed, in the order in which the tutorial's script draws.

    Args:
        recipe: of keras_blitz.training.recipes.
        train: keras_blitz.data.Split to learn from.
        seed: of torch.manual_seed.
        dtype: "float64" or "float32".
    """

    def __init__(self, recipe, train, seed: int, dtype: str):
        torch.manual_seed(seed)
        images = Images(train.images, train.labels, recipe.normalize, getattr(torch, dtype))
        self.recipe, self.dtype = recipe, getattr(torch, dtype)
        self.loader = DataLoader(images, recipe.batch_size, shuffle=recipe.shuffle)
        if recipe.shows_batch:
            next(iter(self.loader))
        self.net = NETWORKS[recipe.network]().to(self.dtype)
        self.optimizer = torch.optim.SGD(self.net.parameters(), recipe.lr, recipe.momentum)
        self.criterion = nn.CrossEntropyLoss()

    def epoch(self) -> Iterator[tuple[float, int]]:
        """Train, yielding the loss and the number of right answers of each step."""
        for inputs, labels in self.loader:
            self.optimizer.zero_grad()
            outputs = self.net(inputs)
            loss = self.criterion(outputs, labels)
            loss.backward()
            self.optimizer.step()
            yield loss.item(), int((outputs.argmax(1) == labels).sum())

    def logits(self, test) -> np.ndarray:
        """Return the network's outputs on a keras_blitz.data.Split."""
        images = Images(test.images, test.labels, self.recipe.normalize, self.dtype)
        with torch.no_grad():
            return np.concatenate([self.net(inputs).numpy() for inputs, _ in DataLoader(images, 1000)])
