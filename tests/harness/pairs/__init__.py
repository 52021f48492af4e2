"""PyTorch networks beside Keras ports as Keras users write them, each with a mistake to plant; a pair is a file."""

from importlib import import_module
from pathlib import Path

from pairs.pair import Pair

FILES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in ("__init__", "pair"))

PAIRS: tuple[Pair, ...] = tuple(import_module(f"pairs.{name}").PAIR for name in FILES)
