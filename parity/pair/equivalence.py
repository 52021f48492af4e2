"""The public door: a user's own PyTorch module beside their own Keras model."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from keras_blitz.errors import BlitzError
from keras_blitz.progress import late_line
from keras_blitz.versions import versions
from parity.core.compare import Comparison
from parity.core.evidence import verdict_of, without_numbers
from parity.core.modes import MODES, PRECISIONS
from parity.core.verdict import Verdict, worst
from parity.pair.options import Options, arrays_of, inputs_of, names_of
from parity.record.frameworks import load_frameworks, torch_installed

if TYPE_CHECKING:
    from parity.pair.locating import Location


@dataclass(frozen=True)
class Report:
    """What `check` found; print it for all of it.

    Args:
        title: which models.
        comparisons: dtype -> the verdict of eager mode, "float64-graph" -> that of another mode.
        weights: (PyTorch's module, Keras's layer, "given", "flow", "name" or "structure").
        notes: what was inferred, and what could not be done.
        location: where it begins; None where nothing differs.
        seconds: wall time.
        versions: of the packages that the figures depend on.
        undecided: why agreement proves nothing here, a line each; `reasons` has them for a reader.
        unproven: why a copy of the Keras model in another precision was not believed, so that it was compared in its
            own precision alone; "" otherwise.
        coarse: float64 agrees, and float32 is coarser than PyTorch's: where, and how many times; "" otherwise.
        precision: in which reduced precision the Keras model runs, and how it was judged; "" where in none.
        rounded: float64 agrees but for constants that each side rounds to float32 in its own way: by how much; ""
            where that is not so.
    """

    title: str
    comparisons: Mapping[str, Comparison]
    weights: Sequence[tuple[str, str, str]]
    notes: Sequence[str]
    location: "Location | None"
    seconds: float
    versions: Mapping[str, str] = field(default_factory=dict)
    undecided: Sequence[str] = ()
    unproven: str = ""
    coarse: str = ""
    precision: str = ""
    rounded: str = ""

    @property
    def verdict(self) -> Verdict:
        """A difference is one whatever else is in doubt; agreement counts only where nothing is."""
        return worst(verdict_of(comparison, self.reasons) for comparison in self.comparisons.values())

    @property
    def reasons(self) -> Sequence[str]:
        """Why agreement proves nothing: what is undecided, or that nothing was compared."""
        compared = any(comparison.rows for comparison in self.comparisons.values())
        return self.undecided or (() if compared else ("nothing was compared",))

    @property
    def passed(self) -> bool:
        """Whether the port is equivalent."""
        return self.verdict is Verdict.EQUIVALENT

    def __bool__(self) -> bool:
        """Whether the port is equivalent, so that `assert parity.check(…)` asserts it."""
        return self.passed

    @property
    def first_divergence(self) -> str | None:
        """The name of the first tensor that differs."""
        return self.location.row.name if self.location else None

    def to_dict(self) -> dict[str, Any]:
        """Return the report in the keys of `parity run --json`, with the weights, the notes and the location."""
        from parity.report.json import pair_to_dict

        document = pair_to_dict(
            self.title, self.comparisons, mode="live", versions=self.versions, seconds=self.seconds,
            undecided=self.reasons,
        )  # fmt: skip
        found = {
            "title": self.title,
            "weights": [list(entry) for entry in self.weights],
            "notes": list(self.notes),
            "location": self.location.lines() if self.location else [],
            "unproven": self.unproven,
            "coarse": self.coarse,
            "precision": self.precision,
            "rounded": self.rounded,
        }
        return {**document, **found}

    def write_html(self, path: str | os.PathLike) -> None:
        """Write the report as one self-contained page, whole or not at all.

        Raises:
            BlitzError: it cannot be written.
        """
        from parity.report import html

        html.write(self.to_dict(), path)

    def __repr__(self) -> str:
        """Return one line, which is what pytest shows of `assert parity.check(…)`."""
        begins = [f"first divergence at {self.first_divergence}"] if self.location else []
        return f"<Report: {'; '.join([f'{self.title}: {self.verdict.headline}', *self.reasons, *begins])}>"

    def __str__(self) -> str:
        from parity.report.text import check_lines

        return "\n".join(check_lines(self))


def assert_equivalent(*args, **kwargs) -> None:
    """Raise an AssertionError with the full report where `check`, of the same arguments, does not pass."""
    report = check(*args, **kwargs)
    if not report.passed:
        raise AssertionError(str(report))


def require_torch(what: str) -> None:
    """Load both frameworks, or say that this needs PyTorch.

    Raises:
        BlitzError: it is not installed.
    """
    if not torch_installed():
        raise BlitzError(f"{what} runs PyTorch: pip install 'keras-blitz[torch]'")
    load_frameworks(live=True)


def check(
    torch_module,
    keras_model,
    inputs,
    loss=None,
    weights: str | Mapping = "auto",
    train: bool = False,
    optimizer=None,
    steps: int = 0,
    dtypes: Sequence[str] | None = None,
    *,
    target=None,
    sample_weight=None,
    class_weight: Mapping[int, float] | None = None,
    modes: Sequence[str] | None = None,
) -> Report:
    """Run both models on the same weights and inputs and compare everything that can be observed.

    Of PyTorch's module copies are run. The Keras model is run itself in its own precision, and put back as it was; in
    the other precision a copy of it is, which must be proven to do the same.

    The report's verdict is equivalent, not equivalent, or not decided: nothing differs, but agreement proves nothing,
    as on empty inputs. Only the first passes, and only then is the report true.

    Args:
        torch_module: a `torch.nn.Module`; its weights are what both sides get.
        keras_model: a Keras model, or a function dtype -> model.
        inputs: an array in PyTorch's layout, a tuple with one an argument of `forward`, or a dict by argument's name.
        loss: (PyTorch's, Keras's): called as (output, target) and as (target, output). Keras's may be a name, "mse", or
            "compiled", what the model was compiled with; as in `fit`, what the model adds to its loss is added, and
            values that are not reduced are averaged. None: the sum of the outputs, each value times a fixed random
            weight, so that gradients are compared without a loss. False: forward only.
        weights: "auto": copied from PyTorch, paired by the values that arrive at both layers, else by name, else by
            structure. A dict pairs what cannot be found so: {module path: layer name}, {tensor: variable},
            {module: [layers]}, {(modules): layer}, {"in_proj_weight[:64]": ("query/kernel", "transpose")},
            {"norm.weight": ("norm/scale", lambda w: 1 + w)}, {module: None} to leave it alone; all of its forms are in
            docs/report.md. "keep": the Keras model's own weights, paired likewise, and by their own values first.
        train: train mode, with the same dropout masks on both sides; otherwise eval mode. Submodules of a PyTorch
            module that is in train mode keep the modes they have; of one in eval mode all are put in train mode.
        optimizer: (PyTorch's: parameters -> optimizer, Keras's: an optimizer, () -> optimizer, a name, or "compiled").
        steps: optimizer steps on the same batch, at least 0.
        dtypes: "float64" proves the algebra, "float32" is judged by PyTorch's own error, and so is a reduced precision,
            by the name of Keras's policy: "mixed_bfloat16", "mixed_float16" (PyTorch's autocast), "bfloat16", "float16"
            (its module in that type). None: float64, float32, and the reduced precision that the Keras model runs in.
        target: what `loss` takes, in PyTorch's layout.
        sample_weight: (N,), as in `fit`, for Keras's loss; PyTorch's must weigh its examples itself.
        class_weight: {class: weight}, as in `fit`; PyTorch's loss has its own, `nn.CrossEntropyLoss(weight=…)`.
        modes: how Keras runs: "eager", "graph" (in a `tf.function`, as `fit` and `predict` do), "xla"; each is compared
            in each of `dtypes`. None: eager, and graph in the Keras model's own precision where eager mode agrees.

    Raises:
        BlitzError: PyTorch is missing, a model raises, weights cannot be paired, or an argument is wrong.
    """
    require_torch("parity.check")
    start = time.perf_counter()
    from parity.pair import step
    from parity.pair.arguments import require_models
    from parity.pair.decay import with_steps_enough
    from parity.pair.judge import Judgement, judge
    from parity.pair.policy import default_dtypes
    from parity.pair.theirs import dry_run

    require_models(torch_module, keras_model)
    chosen = default_dtypes(keras_model) if dtypes is None else names_of("dtypes", dtypes, PRECISIONS)
    given = inputs_of(inputs)
    options = Options(
        loss,
        weights,
        train,
        optimizer,
        steps,
        chosen,
        arrays_of(target),
        arrays_of(sample_weight),
        class_weight,
        modes=None if modes is None else names_of("modes", modes, MODES),
    )
    options.validate()
    options = step.resolved(options, keras_model)
    torch_side = dry_run(torch_module, given, train=train)
    lost = without_numbers(torch_side.named)
    discrete = loss is None and not any(value.dtype.kind == "f" for value in torch_side.outputs.values())
    if discrete and steps:
        raise BlitzError("no output is a floating-point number, so there is no gradient for a step: give a loss")
    options, more = with_steps_enough(options, torch_side.module, keras_model)
    options = replace(options, loss=False) if discrete else options
    with late_line("parity.check") as say:
        found = Judgement({}, None, [], [], (lost,)) if lost else judge(
            torch_side, keras_model, options, lambda doing: say(f"parity.check: {doing}")
        )  # fmt: skip
    unasked = ["no output is a floating-point number: gradients are not compared"] if discrete else []
    unasked += filter(None, [more])
    return Report(
        title=f"{type(torch_module).__name__} and Keras's {getattr(keras_model, 'name', None) or 'model'}",
        comparisons=found.comparisons,
        weights=[(one.name, other.name, how) for one, other, how in found.units],
        notes=[*found.notes, *unasked],
        location=found.location,
        seconds=time.perf_counter() - start,
        versions=versions("torch"),
        undecided=found.undecided,
        unproven=found.unproven,
        coarse=found.coarse,
        precision=found.precision,
        rounded=found.rounded,
    )
