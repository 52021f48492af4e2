"""The pages of the API: the public names of each module, with the docstrings that the packages have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pages import write_pages

from keras_blitz import ops


@dataclass(frozen=True)
class Page:
    """A page of the API.

    Args:
        title: its heading.
        begins: a paragraph.
        names: heading -> where its names are, each as `package.name`; "" stands for no heading.
        members: show the methods of the classes, too.
    """

    title: str
    begins: str
    names: Mapping[str, Sequence[str]]
    members: bool = False

    def text(self) -> str:
        """Return the page in MyST."""
        parts = [f"# {self.title}\n\n{self.begins}\n"]
        for heading, names in self.names.items():
            if heading:
                parts.append(f"## {heading}\n")
            directives = "\n".join(_directive(name, self.members) for name in names)
            parts.append(f"```{{eval-rst}}\n{directives}```\n")
        return "\n".join(parts)


def _directive(address: str, members: bool) -> str:
    name = address.rpartition(".")[2]
    if name[0].islower() or address == "keras_blitz.ops.Tensor":
        return f".. autofunction:: {address}\n"
    return f".. autoclass:: {address}\n" + ("   :members:\n" if members else "")


def public(module: str, leave_out: Sequence[str] = ()) -> list[str]:
    """Return the public functions and classes of a module, each as `module.name`."""
    found = import_module(module)
    names = [name for name in found.__all__ if name not in leave_out and callable(getattr(found, name))]
    return [f"{module}.{name}" for name in sorted(names, key=str.lower)]


PAGES = {
    "parity": Page(
        "parity",
        "The functions to check, fill and translate a model. PyTorch and Keras are loaded on the first call.",
        {
            "Check a port": [
                "parity.check",
                "parity.assert_equivalent",
                "parity.pair.equivalence.Report",
                "parity.check_export",
            ],
            "Fill a model": ["parity.transfer", "parity.pair.transfer.Transfer"],
            "Translate a module": [
                "parity.translate.port.translate",
                "parity.translate.port.Port",
                "parity.translates",
            ],
        },
        members=True,
    ),
    "models": Page(
        "keras_blitz.models",
        "The networks of the tutorials and of torchvision; each is a functional `keras.Model`, channels last.",
        {"": public("keras_blitz.models")},
    ),
    "layers": Page(
        "keras_blitz.layers",
        "PyTorch's layers where Keras's own are not exact; images are (N, H, W, C). [torch.nn → exact in "
        "Keras](../layers.md) says for each class of PyTorch which layer to use.",
        {"": public("keras_blitz.layers")},
    ),
    "losses": Page(
        "keras_blitz.losses",
        "PyTorch's losses as Keras losses: called with the target first, `loss(y_true, y_pred)`.",
        {"": public("keras_blitz.losses")},
    ),
    "optim": Page(
        "keras_blitz.optim",
        "PyTorch's optimizers, schedules and clipping, as Keras optimizers.",
        {
            "Every optimizer": ["keras_blitz.optim.base.Optimizer"],
            "Optimizers": public("keras_blitz.optim", leave_out=["clip_grad_norm_", "clip_grad_value_"]),
            "Clipping": ["keras_blitz.optim.clip_grad_norm_", "keras_blitz.optim.clip_grad_value_"],
            "Schedules": public("keras_blitz.optim.schedules"),
        },
    ),
    "ops": Page(
        "keras_blitz.ops",
        "PyTorch's tensor functions on `tf.Tensor`, with PyTorch's dtypes, promotion, errors and gradients.",
        {
            table.capitalize(): [f"keras_blitz.ops.{name}" for name in sorted(names.split(), key=str.lower)]
            for table, names in ops._TABLES.items()
        },
    ),
    "autograd": Page(
        "keras_blitz.autograd",
        "PyTorch's `.grad`, `backward` and hooks on TensorFlow's tape.",
        {"": public("keras_blitz.autograd"), "Demos": public("keras_blitz.autograd.demos")},
        members=True,
    ),
    "weights": Page(
        "Weights, checkpoints, exports",
        "PyTorch's checkpoints in Keras models and back, and files that run without this package.",
        {
            "Keras models": ["keras_blitz.load_model", *public("keras_blitz.weights")],
            "Converting files": public("keras_blitz.convert"),
            "Exports": public("keras_blitz.export"),
        },
    ),
    "random": Page(
        "Random numbers and initial values",
        "PyTorch's CPU random stream without PyTorch, and its initial values.",
        {
            "keras_blitz.random": public("keras_blitz.random"),
            "keras_blitz.initializers": public("keras_blitz.initializers"),
        },
        members=True,
    ),
    "data": Page(
        "keras_blitz.data",
        "Data sets, transforms, and the order of PyTorch's DataLoader.",
        {"": public("keras_blitz.data")},
    ),
    "settings": Page(
        "Precision and speed",
        "The two switches that hold for the whole process, or for a `with` block.",
        {
            "Precision": ["keras_blitz.precision"],
            "Speed": [f"keras_blitz.speed.{name}" for name in ("choose", "plain", "using")],
        },
    ),
}


def api_pages() -> dict[str, str]:
    """Return every page of the API by the name of its file, and their index."""
    index = ["# API", "", *(f"* [{page.title}]({name}.md): {page.begins}" for name, page in PAGES.items()), ""]
    toctree = ["```{toctree}", ":hidden:", "", *PAGES, "```", ""]
    return {name: page.text() for name, page in PAGES.items()} | {"index": "\n".join([*index, *toctree])}


def setup(app: Any) -> dict[str, bool]:
    """Write the pages when a build begins."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / "api", api_pages()))
    return {"parallel_read_safe": True}
