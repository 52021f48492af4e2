"""Parameter groups: which options each has, and which parameters by PyTorch's names."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from keras_blitz.errors import BlitzError
from keras_blitz.optim.options import Options, Rules, checked
from keras_blitz.weights.kinds import torch_name

# A pattern of PyTorch's names, or several of them
Pattern = str | Sequence[str]

# (pattern, {option: value}) pairs
Groups = Iterable[tuple[Pattern, Mapping[str, Any]]]

# The pattern of the default group, which takes what no other takes.
EVERYTHING = "*"


def resolved(defaults: Options, given: Groups, own_rules: Rules) -> list[tuple[Pattern, Options]]:
    """Return (pattern, all options) of every group: that of the defaults, then those given in their order.

    Args:
        defaults: every option of the optimizer.
        given: (pattern, {option: value}) pairs; an option left out takes the default.
        own_rules: of the options that mean something else in this optimizer than in the others.

    Raises:
        BlitzError: no such pair, an option that the optimizer does not have, or a value that breaks its rule.
    """
    rows: list[tuple[Pattern, Options]] = [(EVERYTHING, checked(defaults, own_rules))]
    for row in given:
        if not (isinstance(row, (tuple, list)) and len(row) == 2 and isinstance(row[1], Mapping)):
            raise BlitzError(f"groups must be (pattern, {{option: value}}) pairs, not {row!r}")
        pattern, own = row
        if unknown := [name for name in own if name not in defaults]:
            raise BlitzError(f"groups: {pattern!r} sets {', '.join(unknown)}; the options are {', '.join(defaults)}")
        rows.append((pattern, checked({**defaults, **own}, own_rules, f"groups: {pattern!r}: ")))
    return rows


def assigned(patterns: Sequence[Pattern], names: list[str]) -> list[int]:
    """Return the number of the group that each parameter belongs to: the first whose pattern matches, otherwise 0.

    Args:
        patterns: of all groups, that of the defaults first.
        names: PyTorch's names of the parameters.

    Raises:
        BlitzError: a group that no parameter belongs to.
    """
    order = [*range(1, len(patterns)), 0]
    members = [next(group for group in order if _matches(name, patterns[group])) for name in names]
    for group, pattern in enumerate(patterns[1:], 1):
        if group not in members:
            raise BlitzError(
                f"groups: {pattern!r} matches no parameter; there are {', '.join(names)} (fit leaves out frozen ones, "
                "and the first pattern that matches takes a parameter)"
            )
    return members


def _matches(name: str, pattern: Pattern) -> bool:
    return any(fnmatchcase(name, each) for each in ([pattern] if isinstance(pattern, str) else pattern))


def parameter_name(variable: Any) -> str:
    """Return PyTorch's name of a Keras variable by its path: `conv1/kernel` is `conv1.weight`.

    What stands before the layer's name (`sequential/fc/kernel`) is the model's, and no part of PyTorch's names. A
    variable outside of any layer keeps its name, as does one that no kind of layer has.
    """
    path = getattr(variable, "path", variable.name.split(":")[0])
    *layer, name = path.split("/")[-2:]
    return ".".join([*layer, torch_name(name)]) if layer else name  # a variable does not know the class of its layer
