"""A rank of DistributedDataParallel, as PyTorch's tutorial writes it: gloo, a DistributedSampler, a DataLoader; or one
process, with the same loop.
"""

import os
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import distributed, nn
from torch.utils.data import DataLoader, DistributedSampler

from parity.twins.torch import cifar, lenet
from parity.twins.torch.families import define_missing_operators
from parity.twins.torch.training import Images

Recorded = dict[str, np.ndarray]


class CifarDropout(cifar.Net):
    """The CIFAR-10 network with dropout after both hidden dense layers."""

    def __init__(self):
        super().__init__()
        self.drop1, self.drop2 = nn.Dropout(0.5), nn.Dropout(0.25)

    def forward(self, x):
        """Return logits (N, 10)."""
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = self.drop1(F.relu(self.fc1(x)))
        x = self.drop2(F.relu(self.fc2(x)))
        return self.fc3(x)


class Normalized(nn.Module):
    """Two convolutions, each with BatchNorm after it; input (N, 3, 32, 32)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 5, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 6, 3, stride=2, bias=False)
        self.bn2 = nn.BatchNorm2d(6)
        self.fc = nn.Linear(6 * 6 * 6, 10)

    def forward(self, x):
        """Return logits (N, 10)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.fc(torch.flatten(x, 1))


def _resnet18() -> nn.Module:
    define_missing_operators()
    from torchvision import models

    return models.resnet18(num_classes=10)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "lenet": lenet.Net,
    "cifar-dropout": CifarDropout,
    "batchnorm": Normalized,
    "resnet18": _resnet18,
}


def train(row, images: np.ndarray, labels: np.ndarray) -> tuple[Recorded, list[float]]:
    """Return what a rank recorded at the end of a run, and its loss of each step.

    Args:
        row: `parity.cases.rows.DistributedRow`.
        images: (N, H, W, C) uint8.
        labels: (N,).
    """
    torch.set_num_threads(1)
    ddp = row.like == "ddp"
    if ddp and not distributed.is_initialized():
        distributed.init_process_group("gloo")
    rank, world = (distributed.get_rank(), distributed.get_world_size()) if ddp else (0, 1)
    torch.manual_seed(row.seed + rank)
    net = NETWORKS[row.network]().double()
    model = nn.parallel.DistributedDataParallel(net) if ddp else net  # takes rank 0's parameters
    name, options = row.optimizer
    optimizer = getattr(torch.optim, name)(model.parameters(), **dict(options))
    data = Images(images, labels, (0.5, 0.5), torch.float64)
    sampler: DistributedSampler | None = DistributedSampler(data, seed=row.seed) if ddp else None
    loader = DataLoader(data, row.batch_size // world, shuffle=sampler is None, sampler=sampler)
    recorded = {f"param:{name}": value.detach().numpy().copy() for name, value in net.named_parameters()}
    losses = [_step(model, optimizer, *batch) for batch, _ in zip(_batches(loader, sampler), range(row.steps))]  # noqa: B905
    return recorded | _state(net, optimizer, f"step{row.steps}:", rank), losses


def _batches(loader: DataLoader, sampler: DistributedSampler | None) -> Iterator:
    epoch = 0
    while True:
        if sampler is not None:
            sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, inputs, labels) -> float:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(inputs), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def _state(net: nn.Module, optimizer: torch.optim.Optimizer, prefix: str, rank: int) -> Recorded:
    state = {f"{prefix}buffer:rank{rank}.{name}": value.numpy().copy() for name, value in net.named_buffers()}
    for name, parameter in net.named_parameters():
        state[f"{prefix}param:{name}"] = parameter.detach().numpy().copy()
        for key, value in optimizer.state[parameter].items():
            if value is not None:
                value = value.long() if key == "step" else value
                state[f"{prefix}slot:{key}:{name}"] = value.numpy().copy()
    return state


def leave() -> None:
    """Leave the process group."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def environment(rank: int, world: int, port: int) -> dict[str, str]:
    """Return what `init_process_group` reads, on the loopback interface alone."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": _loopback()}
    return {"RANK": str(rank), "WORLD_SIZE": str(world), **where}


def _loopback() -> str:
    return "lo0" if os.uname().sysname == "Darwin" else "lo"
