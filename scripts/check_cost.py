"""Measure what `parity.check` costs, over depth, width and whole networks: CPU seconds and peak memory.

python scripts/check_cost.py
python scripts/check_cost.py --only "dense 80,resnet50" --against ../old-checkout     two versions in turn
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from keras_blitz import command
from keras_blitz.errors import BlitzError

HERE = Path(__file__).resolve().parents[1]
# One thread each: threads that wait for each other spin, and would be counted as work (ResNet50: 29 s for 9 s).
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
)


def dense(depth: int, width: int, sequential: bool = False):
    """Linear layers with ReLU, as a functional model or a `keras.Sequential`: input (4, width)."""
    import keras
    from torch import nn

    theirs = nn.Sequential(*(layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU())))
    layers = [keras.layers.Dense(width, "relu", name=f"dense_{index}") for index in range(depth)]
    if sequential:
        return theirs, keras.Sequential([keras.Input((width,)), *layers]), draw(4, width)
    inputs = x = keras.Input((width,))
    for layer in layers:
        x = layer(x)
    return theirs, keras.Model(inputs, x), draw(4, width)


def resnet(name: str):
    """torchvision's ResNet beside ours: images (2, 3, 64, 64)."""
    from keras_blitz import models
    from parity.twins.torch.families import build

    return build(name), models.build(name, input_shape=(64, 64, 3)), draw(2, 3, 64, 64)


def densenet121():
    """torchvision's DenseNet121 beside Keras layers: images (2, 3, 64, 64)."""
    import keras
    from keras import layers

    from parity.twins.torch.families import build

    def norm_relu(x, name):
        return layers.ReLU()(layers.BatchNormalization(epsilon=1e-5, name=name)(x))

    def conv(x, filters, kernel, name, strides=1):
        x = layers.ZeroPadding2D(kernel // 2)(x) if kernel > 1 else x
        return layers.Conv2D(filters, kernel, strides, use_bias=False, name=name)(x)

    inputs = keras.Input((64, 64, 3))
    x = norm_relu(conv(inputs, 64, 7, "conv0", 2), "norm0")
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for block, depth in enumerate((6, 12, 24, 16), start=1):
        for index in range(1, depth + 1):
            name = f"block{block}_layer{index}"
            y = conv(norm_relu(x, f"{name}_norm1"), 128, 1, f"{name}_conv1")
            y = conv(norm_relu(y, f"{name}_norm2"), 32, 3, f"{name}_conv2")
            x = layers.Concatenate()([x, y])
        if block < 4:
            x = conv(norm_relu(x, f"transition{block}_norm"), x.shape[-1] // 2, 1, f"transition{block}_conv")
            x = layers.AveragePooling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(norm_relu(x, "norm5"))
    return build("densenet121"), keras.Model(inputs, layers.Dense(1000)(x)), draw(2, 3, 64, 64)


def encoder(depth: int = 12, width: int = 768, heads: int = 12, vocabulary: int = 30522):
    """An encoder of BERT's sizes (BERT-base: 108 million weights) beside Keras layers: tokens (2, 32)."""
    import keras
    import torch
    from keras import layers, ops
    from torch import nn

    size = width // heads

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            q, k, v = (f(x).unflatten(-1, (heads, size)).transpose(1, 2) for f in (self.query, self.key, self.value))
            mixed = torch.softmax(q @ k.transpose(-1, -2) / size**0.5, -1) @ v
            x = self.norm1(x + self.out(mixed.transpose(1, 2).flatten(2)))
            return self.norm2(x + self.down(nn.functional.gelu(self.up(x))))

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.norm = nn.Embedding(vocabulary, width), nn.LayerNorm(width)
            self.blocks = nn.ModuleList(Block() for _ in range(depth))

        def forward(self, tokens):
            x = self.norm(self.tokens(tokens))
            for block in self.blocks:
                x = block(x)
            return x

    def split(x):
        return ops.transpose(ops.reshape(x, (-1, 32, heads, size)), (0, 2, 1, 3))

    inputs = keras.Input((32,), dtype="int32")
    x = layers.LayerNormalization(epsilon=1e-5, name="norm")(layers.Embedding(vocabulary, width, name="tokens")(inputs))
    for index in range(depth):
        name = f"blocks_{index}"
        q, k, v = (split(layers.Dense(width, name=f"{name}_{part}")(x)) for part in ("query", "key", "value"))
        mixed = ops.matmul(ops.softmax(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / size**0.5), v)
        mixed = ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, 32, width))
        mixed = layers.Dense(width, name=f"{name}_out")(mixed)
        x = layers.LayerNormalization(epsilon=1e-5, name=f"{name}_norm1")(x + mixed)
        y = ops.gelu(layers.Dense(4 * width, name=f"{name}_up")(x), approximate=False)
        y = layers.Dense(width, name=f"{name}_down")(y)
        x = layers.LayerNormalization(epsilon=1e-5, name=f"{name}_norm2")(x + y)
    tokens = np.random.RandomState(0).randint(0, vocabulary, (2, 32))
    return Encoder(), keras.Model(inputs, x), tokens


PAIRS: dict[str, Callable] = {
    **{f"dense {depth}": lambda depth=depth: dense(depth, 64) for depth in (10, 20, 40, 80, 160)},
    **{f"sequential {depth}": lambda depth=depth: dense(depth, 64, True) for depth in (20, 40, 80)},
    **{f"wide {width}": lambda width=width: dense(10, width) for width in (256, 1024, 2048)},
    "resnet18": lambda: resnet("resnet18"),
    "resnet50": lambda: resnet("resnet50"),
    "densenet121": densenet121,
    "encoder": encoder,
}


def draw(*shape: int) -> np.ndarray:
    """Return fixed float32 inputs of this shape."""
    return np.random.RandomState(0).standard_normal(shape).astype(np.float32)


def measure(name: str) -> dict:
    """Check one pair in this process; return its CPU seconds, peak memory in GB and verdict."""
    import parity

    theirs, ours, inputs = PAIRS[name]()
    start, before = time.process_time(), peak()
    report = parity.check(theirs, ours, inputs)
    spent = time.process_time() - start
    return {"cpu_s": round(spent, 2), "gb": round(peak(), 2), "before_gb": round(before, 2), "passed": report.passed}


def peak() -> float:
    """Return this process's largest resident memory so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure_apart(name: str, checkout: Path) -> dict:
    """Run `measure` in a process of its own, on the code of this checkout."""
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3"}
    arguments = [sys.executable, __file__, "--only", name, "--here"]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise BlitzError(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def main(
    only: Annotated[str, typer.Option(help="Pairs to check, separated by commas.")] = "",
    against: Annotated[Path | None, typer.Option(help="A second checkout, measured in turn.")] = None,
    here: Annotated[bool, typer.Option(hidden=True)] = False,
):
    """Print a row for each pair: CPU seconds, peak memory, verdict; with --against, both versions and their ratio."""
    names = [only] if only in PAIRS else only.split(",") if only else list(PAIRS)
    if unknown := [name for name in names if name not in PAIRS]:
        raise BlitzError(f"no pair is named {unknown[0]!r}; there are {', '.join(PAIRS)}")
    if here:
        print(json.dumps(measure(names[0])))
        return
    print("| pair | CPU s | peak GB | passed |" + (" CPU s, other | ratio |" if against else ""))
    print("|---|---|---|---|" + ("---|---|" if against else ""))
    for name in names:
        row = measure_apart(name, HERE)
        line = f"| {name} | {row['cpu_s']} | {row['gb']} ({row['before_gb']} before) | {row['passed']} |"
        if against:
            other = measure_apart(name, against)
            line += f" {other['cpu_s']} | {row['cpu_s'] / other['cpu_s']:.2f} |"
        print(line, flush=True)


if __name__ == "__main__":
    command.run_script(main, "check_cost")
