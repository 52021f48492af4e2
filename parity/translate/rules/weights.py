"""What rules ask about the weights of a layer."""

from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.program import Literal, View, optional

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


def own_path(*weights: Value | View | None) -> str | None:
    """Return the path of the module that weights handed to a function are of.

    None where they are computed, or of several modules, or do not have their usual names.
    """
    names = [getattr(weight, "name", "") for weight in weights if weight is not None]
    paths = {name.rpartition(".")[0] for name in names}
    if not all(names) or len(paths) != 1 or not {name.rpartition(".")[2] for name in names} <= USUAL:
        return None
    return paths.pop()


def same_module(*weights: Value | View | None) -> str:
    """Return the path of the module that weights handed to a function are of.

    Raises:
        Untranslatable: there is no such module.
    """
    path = own_path(*weights)
    if path is None:
        raise Untranslatable("a function whose weights are not a module's own has no translation")
    return path


USUAL = {"weight", "bias", "running_mean", "running_var"}


def frozen(owner: Any) -> dict[str, Literal]:
    """Return `trainable=False` for a module none of whose parameters requires a gradient.

    Raises:
        Untranslatable: some do and some do not.
    """
    needs = [parameter.requires_grad for parameter in owner.parameters(recurse=False)]
    if needs and any(needs) and not all(needs):
        raise Untranslatable(f"{type(owner).__name__}: only some of its parameters require a gradient")
    return {"trainable": optional(all(needs), True)} if needs else {}


def column(builder: "Builder", weight: "Operand", count: int) -> View:
    """Return a weight (rows,) as (rows, 1, …), with so many axes of size 1."""
    shape = (weight.shape[0], *(1,) * count)
    out, order = Value(shape, weight.dtype, batched=(False,) * len(shape)), layout.natural(len(shape))
    return builder.op("ops.reshape({0}, {shape})", [builder.natural(weight)], layout=order, out=out, shape=shape)
