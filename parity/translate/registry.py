"""How a rule is registered and found."""

import pkgutil
from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar

from torch.autograd import Function

from parity.translate.capture import Untranslatable, at
from parity.translate.graph import Call

if TYPE_CHECKING:
    from torch import nn

    from parity.translate.builder import Builder

Rule = Callable[..., Any]
AnyRule = TypeVar("AnyRule", bound=Rule)

MODULES: dict[str | type, Rule] = {}  # PyTorch's own classes by name, a user's by the class
ALIKE: dict[str, Rule] = {}  # classes that many libraries have, by how their names end
FUNCTIONS: dict[str | Callable, Rule] = {}


def load() -> None:
    """Import the rules, every file of the folder `rules`; each registers its own."""
    folder = import_module("parity.translate.rules")
    for file in pkgutil.iter_modules(folder.__path__):
        import_module(f"{folder.__name__}.{file.name}")


def module(*names: str) -> Callable[[AnyRule], AnyRule]:
    """Register a rule for PyTorch's modules of these classes: rule(builder, module, *inputs) -> View."""
    return _into(MODULES, names)


def alike(*endings: str) -> Callable[[AnyRule], AnyRule]:
    """Register a rule for the modules without weights, of any library, whose classes' names end so."""
    return _into(ALIKE, endings)


def function(*names: str) -> Callable[[AnyRule], AnyRule]:
    """Register a rule for torch functions and methods of these names: rule(builder, *args, **kwargs) -> View."""
    return _into(FUNCTIONS, names)


def translates(*targets: Any) -> Callable[[AnyRule], AnyRule]:
    """Register a rule for module classes, autograd.Functions or torch functions of one's own.

        @parity.translates(MyScale)
        def scale(builder, module, x):
            return builder.op("{0} * {factor}", [x], factor=module.factor)

    Args:
        targets: subclasses of `torch.nn.Module` or `torch.autograd.Function`, or functions of torch.
    """

    def register(rule: AnyRule) -> AnyRule:
        for target in targets:
            is_class = isinstance(target, type) and not issubclass(target, Function)
            (MODULES if is_class else FUNCTIONS)[target] = rule
        return rule

    return register


def of_module(module: "nn.Module") -> Rule | None:
    """Return the rule of a module; a subclass with a `forward` of its own does not have its ancestor's."""
    for cls in type(module).__mro__:
        rule = MODULES.get(cls)
        if rule is None and cls.__module__.startswith("torch."):
            rule = MODULES.get(cls.__name__)
        if rule is not None and (cls is type(module) or type(module).forward is getattr(cls, "forward", None)):
            return rule
    return _alike(module)


def _alike(module: "nn.Module") -> Rule | None:
    """Return the rule of a class that many libraries have, such as SwinDropPath; it holds nothing."""
    name = type(module).__name__
    holds = any(True for _ in (*module.parameters(), *module.buffers(), *module.children()))
    return None if holds else next((rule for ending, rule in ALIKE.items() if name.endswith(ending)), None)


def of_call(call: Call) -> Rule | None:
    """Return the rule of a call."""
    if not isinstance(call.target, str):
        return of_module(call.target)
    rule = FUNCTIONS.get(call.function) if call.function is not None else None
    name = call.target
    stripped = name.strip("_") if name.startswith("__") else name.removesuffix("_")
    return rule or FUNCTIONS.get(name) or FUNCTIONS.get(stripped) or FUNCTIONS.get(stripped.removeprefix("special_"))


def apply(rule: Rule, builder: "Builder", call: Call) -> Any:
    """Return what a rule writes for a call.

    Raises:
        Untranslatable: the call has arguments that the rule does not have.
    """
    of_function = isinstance(call.target, str)
    args = (builder, *([] if of_function else [call.target]), *call.args)
    kwargs = {name: each for name, each in call.kwargs.items() if not of_function or name not in ("inplace", "out")}
    try:
        signature(rule).bind(*args, **kwargs)
    except TypeError as error:
        raise Untranslatable(f"{call.title} with these arguments has no translation ({error})") from None
    return rule(*args, **kwargs)


def _into(table: dict, names: tuple[str, ...]) -> Callable[[AnyRule], AnyRule]:
    def register(rule: AnyRule) -> AnyRule:
        table.update(dict.fromkeys(names, rule))
        return rule

    return register


def describe_missing(calls: Sequence[Call]) -> str:
    """Return the message about calls without a rule: the first with the user's own line, then the others."""
    names = list(dict.fromkeys(call.title for call in calls))
    first = calls[0]
    path = f" (module {first.path})" if first.path else ""
    more = f"; nor of {', '.join(names[1:6])}" if names[1:] else ""
    return (
        f"no translation of {first.title}{path}{at(first.where)}{more}; write a rule with @parity.translates, or use "
        "--partial"
    )
