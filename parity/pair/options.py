"""What `parity.check` is asked to record: its arguments."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError, one_line
from parity.core.modes import PRECISIONS
from parity.pair import byhand

_EXAMPLES = {
    "loss": "such as nn.MSELoss()",
    "optimizer": "such as lambda parameters: torch.optim.SGD(parameters, lr=0.1)",
}
_FORMS = {"loss": " or a module", "optimizer": " parameters -> optimizer, because a copy of the module is trained"}
COMPILED_BY_DEFAULT: tuple[str, ...] = ("graph",)  # in the model's own precision, beside eager mode in each
COMPILED = "compiled"  # in place of Keras's loss or optimizer: what the model was compiled with


@dataclass(frozen=True)
class Options:
    """The arguments of `check`, beside the two models and the inputs."""

    loss: Any
    weights: Any
    train: bool
    optimizer: Any
    steps: int
    dtypes: tuple[str, ...]
    target: Any
    sample_weight: Any = None
    class_weight: Mapping[int, float] | None = None
    compiled: bool = False  # Keras's loss and optimizer are those that the model was compiled with
    modes: tuple[str, ...] | None = None

    @property
    def keeps(self) -> bool:
        """Whether the Keras model keeps its own weights."""
        return isinstance(self.weights, byhand.Kept) or self.weights == "keep"

    def validate(self) -> None:
        """Raise a BlitzError for what makes no sense."""
        if isinstance(self.weights, Mapping):
            byhand.parse(self.weights)
        elif not (isinstance(self.weights, str) and self.weights in ("auto", "keep")):
            raise BlitzError(f'weights must be "auto", "keep" or {{module path: layer name}}, not {self.weights!r}')
        if self.loss not in (None, False) and not _is_pair(self.loss):
            raise BlitzError("loss must be a pair: (PyTorch's loss, Keras's loss), such as (nn.MSELoss(), \"mse\")")
        if self.optimizer is not None and not _is_pair(self.optimizer):
            raise BlitzError("optimizer must be a pair: (PyTorch's: parameters -> optimizer, Keras's optimizer)")
        for what, pair in (("loss", self.loss), ("optimizer", self.optimizer)):
            if pair and hasattr(pair[0], "get_config"):
                raise BlitzError(
                    f"{what} is (PyTorch's, Keras's), and the first is Keras's {type(pair[0]).__name__}: exchange them"
                )
            if pair and (not callable(pair[0]) or (what == "loss" and isinstance(pair[0], type))):
                raise BlitzError(
                    f"{what}: PyTorch's must be a function{_FORMS[what]}, not {_named(pair[0])}: {_EXAMPLES[what]}"
                )
            if pair and not (callable(pair[1]) or isinstance(pair[1], str) or hasattr(pair[1], "get_config")):
                raise BlitzError(f"{what}: Keras's must be a Keras {what}, its name or a function, not {pair[1]!r}")
        if (self.sample_weight is not None or self.class_weight) and not self.loss:
            raise BlitzError("sample_weight and class_weight weigh Keras's loss: give loss=")
        self._validate_weights()
        if not isinstance(self.steps, int | np.integer):
            raise BlitzError(f"steps must be an integer, not {self.steps!r}")
        if self.steps < 0:
            raise BlitzError(f"steps must be 0 or more, not {self.steps}")
        if self.steps and self.optimizer is None:
            raise BlitzError(
                f"steps={self.steps}: steps need an optimizer, (PyTorch's: parameters -> optimizer, Keras's)"
            )
        if self.optimizer is not None and not self.steps:
            raise BlitzError("optimizer is given and steps=0: give the number of steps that it takes, steps=1 or more")
        if not isinstance(self.train, bool | np.bool_):
            raise BlitzError(f"train must be True or False, not {self.train!r}")
        if self.steps and self.loss is False:
            raise BlitzError("loss=False records forward only; steps need a loss, or None")

    def compiled_modes(self, *, own: bool) -> tuple[str, ...]:
        """Return the modes but eager that the Keras model is compared in, in one precision.

        By default it is "graph" in the model's own precision alone: what differs in a graph, such as a Python number
        that is kept from the first call, is not rounding, and so any precision shows it.

        Args:
            own: it is the precision that the user's model runs in.
        """
        if self.modes is None:
            return COMPILED_BY_DEFAULT if own else ()
        return tuple(mode for mode in self.modes if mode != "eager")

    @property
    def is_eager(self) -> bool:
        """Whether the model is compared in eager mode, too."""
        return self.modes is None or "eager" in self.modes

    def _validate_weights(self) -> None:
        """Raise a BlitzError where `sample_weight` or `class_weight` does not fit the target."""
        weight, target = self.sample_weight, self.target
        if self.class_weight:
            if not isinstance(self.class_weight, Mapping):
                raise BlitzError(f"class_weight must be {{class: weight}}, not a {type(self.class_weight).__name__}")
            if not (isinstance(target, np.ndarray) and target.ndim in (1, 2)):
                raise BlitzError(
                    f"class_weight needs a target of one label for each example, (N,), or one-hot, (N, classes), not "
                    f"{_describe(target)}; weigh the values in a loss of your own"
                )
        if weight is None:
            return
        if not isinstance(weight, np.ndarray) or not weight.ndim:
            raise BlitzError(f"sample_weight must be an array, (N,), not {_describe(weight)}")
        examples = _examples(target)
        if self.class_weight and weight.ndim != 1:
            raise BlitzError(f"sample_weight must be (N,) where class_weight is given, too, not {weight.shape}")
        if examples is not None and len(weight) != examples:
            raise BlitzError(f"sample_weight has {len(weight)} values, the target {examples} examples: one for each")


def names_of(what: str, names: Any, known: Collection[str]) -> tuple[str, ...]:
    """Return an argument that is a tuple of names.

    Args:
        what: the argument.
        names: its value.
        known: the names that there are.

    Raises:
        BlitzError: it is not a tuple or list of some of them.
    """
    if not isinstance(names, Collection) or isinstance(names, str):
        example = names if names in known else next(iter(known))
        raise BlitzError(f'{what} must be a tuple of names, such as {what}=("{example}",), not {names!r}')
    if not names or not set(names) <= set(known):
        raise BlitzError(f"{what} must be some of {', '.join(known)}, not {list(names)}")
    return tuple(names)


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2


def _named(value: Any) -> str:
    """Return a value on one line: an instance by its class."""
    text = repr(value)
    return text if len(text) < 60 and "\n" not in text else f"a {type(value).__name__}"


def _describe(tree: Any) -> str:
    if isinstance(tree, np.ndarray):
        return f"an array of shape {tree.shape}"
    return "None" if tree is None else f"a {type(tree).__name__}"


def _examples(tree: Any) -> int | None:
    """Return how many examples a target has, by its first array; None where it has no array."""
    if isinstance(tree, Mapping | tuple):
        entries = tree.values() if isinstance(tree, Mapping) else tree
        return next((found for found in map(_examples, entries) if found is not None), None)
    return len(tree) if isinstance(tree, np.ndarray) and tree.ndim else None


def inputs_of(inputs: Any) -> Any:
    """Return the inputs as arrays.

    Raises:
        BlitzError: there are none, or they are not arrays.
    """
    from parity.pair.arguments import require_arrays  # which imports Keras; PyTorch must be loaded before

    require_arrays(inputs)
    return arrays_of(inputs)


def arrays_of(tree: Any) -> Any:
    """Return a structure of tensors as one of NumPy arrays.

    Raises:
        BlitzError: an entry that is not a number.
    """
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {str(key): arrays_of(value) for key, value in tree.items()}
    if isinstance(tree, tuple) or (isinstance(tree, list) and any(hasattr(entry, "shape") for entry in tree)):
        return tuple(map(arrays_of, tree))
    try:
        array = np.array(tree.detach().cpu().numpy() if hasattr(tree, "detach") else tree)
    except (TypeError, ValueError, NotImplementedError) as error:  # bfloat16, sparse, meta; rows of several lengths
        raise BlitzError(f"inputs and targets must be arrays, or convertible to them: {one_line(error)}") from None
    if array.dtype.kind not in "fiub":
        raise BlitzError(f"inputs must be numbers, not {array.dtype}")
    return array


def typed(tree: Any, dtype: str) -> Any:
    """Return a structure of arrays with its floating-point numbers as they are given in this precision; not a copy."""
    if isinstance(tree, Mapping):
        return {key: typed(value, dtype) for key, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(typed(value, dtype) for value in tree)
    return tree.astype(PRECISIONS[dtype].arrays, copy=False) if tree is not None and tree.dtype.kind == "f" else tree
