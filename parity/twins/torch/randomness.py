"""PyTorch's random stream: what it draws, a DataLoader's order, dropout's masks, initial values."""

from typing import Any
from zlib import crc32

import torch

from parity.twins.torch import cifar, families, lenet, mlp, mnist


def numbers(*, seed: int) -> dict:
    """Return the bits of what the default generator draws after `manual_seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = {}
        for dtype, bits in ((torch.float32, torch.int32), (torch.float64, torch.int64)):
            kind = str(dtype).removeprefix("torch.")
            found[f"output:rand.{kind}"] = torch.rand(3, 5, dtype=dtype).view(bits)
            found[f"output:randn.{kind}"] = torch.randn(21, dtype=dtype).view(bits)
            found[f"output:uniform.{kind}"] = torch.empty(9, dtype=dtype).uniform_(-0.2, 0.3).view(bits)
        found["output:randint"] = torch.randint(-7, 8, (4, 5))
        found["output:randint.wide"] = torch.randint(-(2**40), 2**41, (7,))
        found["output:randperm"] = torch.randperm(31)
        found["output:bernoulli"] = torch.empty(8, 3).bernoulli_(0.3).bool()
    return found


def order(*, seed: int) -> dict:
    """Return the batches of three epochs of a shuffling DataLoader, a split and a sampler."""
    from torch.utils.data import DataLoader, RandomSampler, random_split

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        data: Any = range(23)  # by the types only a Dataset will do; any sequence does
        loader = DataLoader(data, batch_size=4, shuffle=True)
        found = {f"output:epoch{epoch}": torch.cat(list(loader)) for epoch in range(3)}
        data = range(31)
        found |= {f"output:split{k}": torch.tensor(part.indices) for k, part in enumerate(random_split(data, [9, 22]))}
        sampler = RandomSampler(range(10), replacement=True, num_samples=33)
        found["output:sampler"] = torch.tensor(list(sampler))
    return found


def masks(*, seed: int) -> dict:
    """Return what dropout and dropout2d let through, of ones."""
    found = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for p in (0.3, 0.5):
            for name, shape in (("dropout", (4, 3, 5, 2)), ("dropout2d", (4, 9, 5, 2))):
                ones = torch.ones(*shape, dtype=torch.float32)
                found[f"output:{name}.{p}"] = getattr(torch.nn.functional, name)(ones, p).view(torch.int32)
    return found


def initial(*, network: str, seed: int) -> dict:
    """Return a checksum of the bits of each parameter that PyTorch's network begins with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_default_dtype(torch.float32)  # the caller sets it back
        state = _network(network).state_dict()
    return {f"param:{name}": _checksum(value.numpy()) for name, value in state.items()}


def _network(name: str) -> torch.nn.Module:
    tutorials = {
        "lenet": lenet.Net,
        "cifar": cifar.Net,
        "mlp": mlp.NeuralNetwork,
        "mnist1": mnist.Network1,
        "mnist": mnist.Network2,
    }
    return tutorials[name]() if name in tutorials else families.build(name)


def _checksum(array):
    return crc32(array.tobytes())
