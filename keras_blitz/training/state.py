"""Where a run is, and the file that holds it: a run that was interrupted goes on to the same bits."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz import random
from keras_blitz.data.sampler import batches
from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path, check_source
from keras_blitz.npz import check_members

HISTORY = 1 << 28  # bytes that losses and the like may take in a checkpoint


@dataclass
class State:
    """The place in a run, and the random stream there.

    Args:
        losses: of the steps of this epoch (of the last one, after it is complete).
        correct: the right answers of the same steps.
        epoch: complete epochs.
        step: steps done of the next one.
        generator: the random stream when this epoch began; its order is drawn from there again.
        within: the random stream where this epoch was interrupted; None: it was not.
    """

    losses: np.ndarray
    correct: np.ndarray
    epoch: int = 0
    step: int = 0
    generator: np.ndarray = field(default_factory=random.get_state)
    within: np.ndarray | None = None

    @classmethod
    def start(cls, dtype: str) -> "State":
        """Return the state of a run that has not begun, with losses of this type."""
        return cls(np.zeros(0, dtype), np.zeros(0, np.int64))

    def draw_order(self, count: int, batch_size: int, shuffle: bool, sampler: np.ndarray | None = None) -> np.ndarray:
        """Return the epoch's order of `count` images (count,); of an interrupted epoch, the one it had.

        A sampler's order is taken as it is; the DataLoader draws its base seed all the same.
        """
        if self.step == 0:
            self.generator = random.get_state()
            self.losses, self.correct = self.losses[:0], self.correct[:0]
        if self.within is not None:
            random.set_state(self.generator)
        drawn = batches(count, batch_size, shuffle and sampler is None, sampler=sampler)
        order = np.fromiter(chain.from_iterable(drawn), np.int64)
        if self.within is not None:  # past the dropout masks of the steps that are done
            random.set_state(self.within)
            self.within = None
        return order

    def advance(self, losses: np.ndarray, right: np.ndarray) -> None:
        """Count these steps as done."""
        self.step += len(losses)
        self.losses, self.correct = np.append(self.losses, losses), np.append(self.correct, right)

    def interrupt(self) -> None:
        """Keep the random stream where the epoch was interrupted."""
        self.within = random.get_state()

    def take_stream(self) -> None:
        """Go on with the random stream as it is now, in place of the one that was read."""
        self.generator = random.get_state()
        self.within = self.generator if self.step else None

    def end_epoch(self) -> None:
        """Go to the beginning of the next epoch."""
        self.epoch, self.step = self.epoch + 1, 0


def write_checkpoint(
    path: str | os.PathLike[str], state: State, variables: Sequence[Any], setting: str, history: Mapping[str, Any]
) -> None:
    """Write a run to one file (.npz), whole or not at all.

    Args:
        path: of the file.
        state: the place in the run.
        variables: of the model and the optimizer, in an order that stays.
        setting: which run this is, in words; `read_checkpoint` refuses the file of another.
        history: further arrays, by name.

    Raises:
        BlitzError: the file cannot be written.
    """
    arrays: dict[str, Any] = {
        **{f"variable:{number}": variable.numpy() for number, variable in enumerate(variables)},
        "place": np.array([state.epoch, state.step]),
        "generator": state.generator if state.step else random.get_state(),
        "within": random.get_state() if state.within is None else state.within,
        "losses": state.losses,
        "correct": state.correct,
        "setting": np.array(setting),
        **{f"history:{name}": np.asarray(value) for name, value in history.items()},
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def read_contents(path: str | os.PathLike[str]) -> bytes:
    """Return what is in a file of `write_checkpoint`.

    Raises:
        BlitzError: the file is missing or cannot be read.
    """
    try:
        return check_source(Path(path), "no checkpoint to go on from").read_bytes()
    except OSError as error:
        raise BlitzError(f"{path}: cannot be read ({error.strerror})") from error


def read_checkpoint(
    path: str | os.PathLike[str], variables: Sequence[Any], setting: str, contents: bytes | None = None
) -> tuple[State, dict[str, np.ndarray]]:
    """Set the variables and the random stream from a file of `write_checkpoint`; return the state and the history.

    Args:
        path: of the file.
        variables: of the model and the optimizer, in the order they were written in.
        setting: which run this is.
        contents: of the file, where another process has read it.

    Raises:
        BlitzError: the file is missing, truncated, or of another run; nothing is changed then.
    """
    contents = read_contents(path) if contents is None else contents
    try:
        file = BytesIO(contents)
        held = check_members(file, sum(prod(variable.shape) * 8 for variable in variables) + HISTORY)
        with np.load(file, allow_pickle=False) as archive:
            saved = dict(archive)
        of = str(saved["setting"])
        (epoch, step), generator, within = saved["place"].tolist(), saved["generator"], saved["within"]
    except Exception as error:  # a damaged archive raises whatever its damaged part does
        raise BlitzError(f"{path}: truncated, or not a checkpoint of a training run") from error
    if of != setting:
        raise BlitzError(f"{path}: comes from another run ({of}); this run is {setting}")
    _check_shapes(path, variables, held)
    for number, variable in enumerate(variables):
        variable.assign(saved[f"variable:{number}"])
    random.set_state(generator)
    state = State(saved["losses"], saved["correct"], epoch, step, generator, within if step else None)
    return state, {name.partition(":")[2]: value for name, value in saved.items() if name.startswith("history:")}


def _check_shapes(
    path: str | os.PathLike[str], variables: Sequence[Any], held: Mapping[str, tuple[tuple[int, ...], np.dtype]]
) -> None:
    for number, variable in enumerate(variables):
        shape = held.get(f"variable:{number}", (None, None))[0]
        if shape != tuple(variable.shape):
            there = "is missing" if shape is None else f"has shape {shape}"
            raise BlitzError(f"{path}: is of another network: {variable.path} {there}, not {tuple(variable.shape)}")
    if f"variable:{len(variables)}" in held:
        raise BlitzError(f"{path}: is of another network, with more than the {len(variables)} variables of this one")
