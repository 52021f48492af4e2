"""L4: the other losses of torch.nn with every reduction, those of several predictions, and CTC."""

import numpy as np

from parity.cases.losses import CLASSES, COUNT, HARD, LABELS, LOGITS, SHARES, TARGETS, WEIGHT
from parity.cases.rows import CallRow
from parity.core import inputs

SIGNS = (2 * HARD - 1).astype(np.float32)
OTHERS = inputs.uniform((COUNT, CLASSES), 3.0, "others")
NEGATIVES = inputs.uniform((COUNT, CLASSES), 3.0, "negatives")
VARIANCES = np.abs(OTHERS).astype(np.float32)
COUNTS = np.floor(4 * SHARES).astype(np.float32)
MEMBERS = np.where(np.arange(CLASSES) > LABELS[:, np.newaxis], -1, np.arange(CLASSES)[::-1])

STEPS, SEQUENCES = 9, 3
CTC = {
    "x": inputs.uniform((STEPS, SEQUENCES, CLASSES), 3.0, "ctc"),
    "targets": np.array([[1, 2, 2, 4], [3, 3, 3, 3], [4, 1, 0, 0]]),
    # The second target needs seven steps, and has six.
    "input_lengths": np.array([9, 6, 8]),
    "target_lengths": np.array([4, 4, 2]),
}

KINDS = ("mean", "sum", "none")


def _row(subject: str, function: str, arrays: dict, losses: tuple[int, ...], **options) -> CallRow:
    kind = options["options"]["reduction"]
    if kind == "none":
        arrays = arrays | {"upstream": (1.5 + inputs.uniform(losses, 1.0, "upstream", subject)).astype(np.float32)}
    return CallRow(
        subject, ("L4",), "losses", f"losses.{function}", f"losses.{function}", arrays, options=tuple(options.items()),
        # A plain run takes the mean in each dtype; the other reductions once.
        slow=("*-xla", "float32-eager") if kind == "mean" else ("*-xla", "float32-*", "*-graph"),
    )  # fmt: skip


def _reductions(
    subject: str, loss: str, arrays: dict, losses=(COUNT, CLASSES), kinds=KINDS, function="of_several", **options
) -> tuple[CallRow, ...]:
    return tuple(
        _row(f"{subject}-{kind}", function, arrays, losses, name=loss, options=options | {"reduction": kind})
        for kind in kinds
    )


def _xy(x: np.ndarray, y: np.ndarray) -> dict:
    return {"x1": x, "y": y}


_EACH = (COUNT,)
_PAIR = {"x1": LOGITS, "x2": OTHERS}
_TRIPLET = _PAIR | {"x3": NEGATIVES}

ROWS = (
    *_reductions("l1", "L1Loss", _xy(LOGITS, TARGETS)),
    *_reductions("smooth-l1", "SmoothL1Loss", _xy(LOGITS, TARGETS), beta=0.7),
    *_reductions("huber", "HuberLoss", _xy(LOGITS, TARGETS), delta=0.7),
    *_reductions("kl-div", "KLDivLoss", _xy(-SHARES, TARGETS), kinds=(*KINDS, "batchmean")),
    *_reductions("kl-div-log", "KLDivLoss", _xy(-SHARES, -TARGETS), kinds=("batchmean",), log_target=True),
    *_reductions("poisson", "PoissonNLLLoss", _xy(LOGITS, COUNTS), full=True, hard=True),
    *_reductions("poisson-rate", "PoissonNLLLoss", _xy(SHARES, COUNTS), kinds=("mean",), log_input=False, hard=True),
    *_reductions("gaussian", "GaussianNLLLoss", {"x1": LOGITS, "x2": VARIANCES, "y": TARGETS}, full=True),
    *_reductions("hinge-embedding", "HingeEmbeddingLoss", _xy(VARIANCES, SIGNS), margin=1.5, hard=True),
    *_reductions("soft-margin", "SoftMarginLoss", _xy(LOGITS, SIGNS), hard=True),
    *_reductions("multi-label-soft-margin", "MultiLabelSoftMarginLoss", _xy(LOGITS, TARGETS), _EACH, weight=WEIGHT),
    *_reductions("multi-label-margin", "MultiLabelMarginLoss", _xy(LOGITS, MEMBERS), _EACH),
    *_reductions("multi-margin", "MultiMarginLoss", _xy(LOGITS, LABELS), _EACH, weight=WEIGHT, margin=0.7),
    *_reductions("multi-margin-squared", "MultiMarginLoss", _xy(LOGITS, LABELS), _EACH, ("mean",), p=2),
    *_reductions("margin-ranking", "MarginRankingLoss", _PAIR | {"y": SIGNS}, margin=0.5, hard=True),
    *_reductions("cosine-embedding", "CosineEmbeddingLoss", _PAIR | {"y": SIGNS[:, 0]}, _EACH, margin=-0.2, hard=True),
    *_reductions("triplet", "TripletMarginLoss", _TRIPLET, _EACH),
    *_reductions("triplet-swap", "TripletMarginLoss", _TRIPLET, _EACH, ("mean",), swap=True, p=3.0, margin=0.4),
    *_reductions("triplet-distance", "TripletMarginWithDistanceLoss", _TRIPLET, _EACH, ("mean",), margin=0.4),
    *_reductions("ctc", "CTCLoss", CTC, (SEQUENCES,), function="ctc", zero_infinity=True),
)  # fmt: skip
