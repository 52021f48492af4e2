"""The random stream of keras_blitz: what it draws, a DataLoader's order, dropout's masks, initial values."""

from zlib import crc32

import numpy as np

from keras_blitz import models, random
from keras_blitz.data import RandomSampler, batches, random_split
from keras_blitz.weights import state_dict


def numbers(*, seed: int) -> dict:
    """Return the bits of what the default generator draws after `manual_seed`."""
    with random.fork_rng():
        random.manual_seed(seed)
        found = {}
        for dtype, bits in (("float32", np.int32), ("float64", np.int64)):
            found[f"output:rand.{dtype}"] = random.rand(3, 5, dtype=dtype).view(bits)
            found[f"output:randn.{dtype}"] = random.randn(21, dtype=dtype).view(bits)
            found[f"output:uniform.{dtype}"] = random.uniform(-0.2, 0.3, 9, dtype).view(bits)
        found["output:randint"] = random.randint(-7, 8, (4, 5))
        found["output:randint.wide"] = random.randint(-(2**40), 2**41, (7,))
        found["output:randperm"] = random.randperm(31)
        found["output:bernoulli"] = random.bernoulli(0.3, (8, 3)).astype(bool)
    return found


def order(*, seed: int) -> dict:
    """Return the batches of three epochs of a shuffling DataLoader, a split and a sampler."""
    with random.fork_rng():
        random.manual_seed(seed)
        found = {
            f"output:epoch{epoch}": np.concatenate(list(batches(23, batch_size=4, shuffle=True))) for epoch in range(3)
        }
        found |= {f"output:split{k}": part for k, part in enumerate(random_split(31, [9, 22]))}
        found["output:sampler"] = np.array(list(RandomSampler(10, replacement=True, num_samples=33)))
    return found


def masks(*, seed: int) -> dict:
    """Return what dropout and dropout2d let through, of ones."""
    found = {}
    with random.fork_rng():
        random.manual_seed(seed)
        for p in (0.3, 0.5):
            for name, shape in (("dropout", (4, 3, 5, 2)), ("dropout2d", (4, 9, 5, 2))):
                mask = np.broadcast_to(getattr(random, f"{name}_mask")(shape, p, "float32"), shape)
                found[f"output:{name}.{p}"] = np.ascontiguousarray(mask).view(np.int32)
    return found


def initial(*, network: str, seed: int) -> dict:
    """Return a checksum of the bits of each parameter that the network begins with."""
    with random.fork_rng():
        random.manual_seed(seed)
        state = state_dict(models.build(network, dtype="float32"))
    return {f"param:{name}": crc32(np.ascontiguousarray(value).tobytes()) for name, value in state.items()}
