"""Hands random pairs to `parity.check`, and says whether its verdict is right."""

import time
import warnings
from dataclasses import dataclass

import keras
import numpy as np

import parity
from keras_blitz.errors import BlitzError, one_line
from parity.core.verdict import Verdict
from parity.faults.random import draw, in_keras, in_torch, truth
from parity.faults.random.mistakes import Mistake, mistake
from parity.faults.random.network import WEIGHTED, Network

EQUIVALENT, DIFFERENT, UNDECIDED, REFUSED, CRASHED = "equivalent", "different", "not decided", "refused", "crashed"
RIGHT, WRONG, UNCLEAR = "right", "wrong", "unclear"
AT, NEXT, ELSEWHERE = "at its layer", "at the next", "elsewhere"


@dataclass(frozen=True)
class Pair:
    """A random pair.

    Args:
        number: its seed.
        network: PyTorch's side.
        mistake: what is wrong in Keras's side, None where nothing was planted.
    """

    number: int
    network: Network
    mistake: Mistake | None

    @property
    def ours(self) -> Network:
        """The description that Keras's side is written from."""
        return self.mistake.network if self.mistake else self.network

    def truth(self) -> str:
        """Return whether the two are one function, evaluated without `parity.check`."""
        if self.mistake is None:
            return RIGHT
        apart = truth.distance(self.network, self.ours, self.number)
        if apart > truth.OTHER and self.mistake.twins:
            apart = min(apart, truth.distance(self.network, self.ours, self.number, self.mistake.twins))
        if apart > truth.OTHER:
            return WRONG
        rounding = truth.distance(self.network, self.network, self.number)
        return RIGHT if apart <= max(truth.SAME, 4 * rounding) else UNCLEAR


@dataclass(frozen=True)
class Result:
    """What became of a pair.

    Args:
        pair: the pair.
        truth: `RIGHT`, `WRONG` or `UNCLEAR`.
        seen: what `parity.check` said.
        said: its words, one line.
        where: `AT`, `NEXT` or `ELSEWHERE`, of a mistake that was located; "" otherwise.
        seconds: of CPU, of `parity.check`.
    """

    pair: Pair
    truth: str
    seen: str
    said: str
    where: str
    seconds: float

    @property
    def problem(self) -> str:
        """What is wrong with the verdict: "false alarm", "false pass", "crashed", "refused"; "" if nothing.

        A mistake that changes no value may be refused. A layer of its own for the second call of another may be
        called different, too: it gives the same values, and is trained apart.
        """
        if self.seen == CRASHED:
            return CRASHED
        if self.pair.mistake and self.pair.mistake.kind == "tie" and self.truth == RIGHT:
            return ""
        if self.truth == RIGHT and self.seen == DIFFERENT:
            return "false alarm"
        if self.truth == RIGHT and self.seen != EQUIVALENT and not self.pair.mistake:
            return self.seen
        return "false pass" if self.truth == WRONG and self.seen == EQUIVALENT else ""


def pair(number: int) -> Pair:
    """Return the pair of a number; those of odd numbers have a mistake."""
    network = draw.network(number)
    return Pair(number, network, mistake(network, number) if number % 2 else None)


def check(number: int) -> Result:
    """Make a pair, hand it to `parity.check`, and judge what was said."""
    made = pair(number)
    known = made.truth()
    module = in_torch.emit(made.network, number)
    inputs = in_torch.inputs_of(made.network, number)
    keras.utils.set_random_seed(number)
    model = in_keras.emit(made.ours, number).model
    start = time.process_time()
    seen, said, tensor = _verdict(module, model, inputs)
    spent = time.process_time() - start
    keras.backend.clear_session()
    where = _where(made, tensor) if made.mistake and tensor else ""
    return Result(made, known, seen, said, where, spent)


def _verdict(module, model: keras.Model, inputs: tuple[np.ndarray, ...]) -> tuple[str, str, str]:
    """Return what was seen, the words, and the first tensor that differs."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = parity.check(module, model, inputs)
    except BlitzError as error:
        return REFUSED, one_line(error), ""
    except Exception as error:  # what a user's objects raise must be a BlitzError by now
        return CRASHED, f"{type(error).__name__}: {one_line(error)}", ""
    if report.verdict is Verdict.NOT_DECIDED:
        return UNDECIDED, "; ".join(report.reasons), ""
    if report.verdict is Verdict.EQUIVALENT:
        return EQUIVALENT, report.unproven, ""
    said = " ".join(report.location.lines()) if report.location else "not located"
    return DIFFERENT, said, report.first_divergence or "-"


def _where(pair: Pair, tensor: str) -> str:
    """Say whether a mistake was found at its layer, or at the next that both frameworks record.

    That is the next with weights at the latest: what has none may be a function, whose value neither records.
    """
    path = tensor.partition(":")[2].partition("#")[0] if ":" in tensor else tensor
    begin = pair.mistake.at if pair.mistake else ()
    holders = {node.name: node.holder for node in pair.network.nodes}
    if any(_is_in(path, holders[name]) for name in begin):
        return AT
    after = set(begin)
    for node in pair.network.nodes:
        if after & set(node.inputs):
            if _is_in(path, node.holder) or path == node.name:
                return NEXT
            if node.kind not in WEIGHTED:
                after.add(node.name)
    ends = after & set(pair.network.outputs)
    return NEXT if ends and tensor.startswith("output") else ELSEWHERE


def _is_in(path: str, holder: str) -> bool:
    """Whether a module is a node's, such as the first of a Sequential of two."""
    return f"{path}.".startswith(f"{holder}.")
