"""Where a mistake is planted in a rule of the translator, and what the proof must say of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from inspect import signature
from typing import Any
from unittest import mock

from parity.translate import registry

REFUSED = "refused"  # the model has other weights, or cannot be built

# (rule, builder, what the rule is called with) -> what it returns
Change = Callable[..., Any]


@dataclass(frozen=True)
class RulePlace:
    """One mistake in one network.

    Args:
        case: the network's id.
        seen: pattern of the first tensor that must differ; `REFUSED` where there is no model to compare.
        rule: name of a module class or function of PyTorch.
        change: makes the mistake.
        says: a part of what must be said.
    """

    case: str
    seen: str
    rule: str
    change: Change
    says: str = ""

    def planted(self) -> AbstractContextManager:
        """Return what makes the rule wrong while it is entered."""
        registry.load()
        table: Any = registry.MODULES if self.rule in registry.MODULES else registry.FUNCTIONS
        rule = table[self.rule]
        return mock.patch.dict(
            table, {self.rule: lambda builder, *args, **kwargs: self.change(rule, builder, *args, **kwargs)}
        )


def at(net: str, seen: str, rule: str, change: Change, says: str = "") -> RulePlace:
    """Return a mistake in a rule that must be found not equivalent, beginning at a tensor."""
    return RulePlace(net, seen, rule, change, says)


def refused(net: str, says: str, rule: str, change: Change) -> RulePlace:
    """Return a mistake in a rule after which no model can be compared; the module must be named."""
    return RulePlace(net, REFUSED, rule, change, says)


def reading(**changes: Callable[[Any], Any]) -> Change:
    """Return what makes a module's rule read other values of the module's attributes: name -> (value -> value)."""

    def change(rule: Callable, builder: Any, module: Any, *args: Any, **kwargs: Any) -> Any:
        kept = {name: getattr(module, name) for name in changes}
        try:
            for name, function in changes.items():
                setattr(module, name, function(kept[name]))
            return rule(builder, module, *args, **kwargs)
        finally:
            for name, value in kept.items():
                setattr(module, name, value)

    return change


def given(**changes: Callable[[Any], Any]) -> Change:
    """Return what hands a rule other arguments: name -> (value -> value)."""

    def change(rule: Callable, builder: Any, *args: Any, **kwargs: Any) -> Any:
        bound = signature(rule).bind(builder, *args, **kwargs)
        bound.apply_defaults()
        for name, function in changes.items():
            bound.arguments[name] = function(bound.arguments[name])
        return rule(*bound.args, **bound.kwargs)

    return change


def constant(value: Any) -> Callable[[Any], Any]:
    """Return the function that has this value everywhere."""
    return lambda _: value


def returning(function: Callable[..., Any]) -> Change:
    """Return what puts another result in place of the rule's: function(builder, result, *arguments)."""

    def change(rule: Callable, builder: Any, *args: Any, **kwargs: Any) -> Any:
        return function(builder, rule(builder, *args, **kwargs), *args)

    return change


def instead(function: Callable[..., Any]) -> Change:
    """Return what does something else in place of the rule: function(builder, *arguments)."""
    return lambda _, builder, *args, **kwargs: function(builder, *args, **kwargs)


def passing_on(_: Callable, builder: Any, *args: Any, **__: Any) -> Any:
    """Write nothing: what came in is the result."""
    return builder.any(next(each for each in args if hasattr(each, "shape") and hasattr(each, "batched")))


def without_stop(rule: Callable, builder: Any, *args: Any, **kwargs: Any) -> Any:
    """Let the gradient pass where PyTorch stopped it."""
    builder.call.detached = False
    return rule(builder, *args, **kwargs)


def trained(rule: Callable, builder: Any, module: Any, *args: Any, **kwargs: Any) -> Any:
    """Train a layer that PyTorch does not."""
    frozen = [parameter for parameter in module.parameters() if not parameter.requires_grad]
    module.requires_grad_(True)
    try:
        return rule(builder, module, *args, **kwargs)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
