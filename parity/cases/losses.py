"""L2: every loss with every reduction and option, at ordinary logits and where it saturates."""

import numpy as np

from parity.cases.rows import CallRow
from parity.core import inputs

COUNT, CLASSES = 7, 5
WEIGHT = (0.3, 1.7, 0.0, 2.2, 1.1)

LOGITS = inputs.uniform((COUNT, CLASSES), 3.0, "logits")
SATURATED = (100 * np.sign(inputs.uniform((COUNT, CLASSES), 1.0, "saturated"))).astype(np.float32)
MAPS = inputs.uniform((3, CLASSES, 2, 4), 3.0, "maps")
LABELS = inputs.labels(COUNT, CLASSES, "losses")
IGNORED = np.where(np.arange(COUNT) % 3 == 1, -100, LABELS)
MAP_LABELS = inputs.labels(3 * 2 * 4, CLASSES, "maps").reshape(3, 2, 4)
SHARES = (inputs.uniform((COUNT, CLASSES), 0.5, "shares") + 0.5).astype(np.float32)
CERTAIN = np.where(SHARES > 0.7, 1, np.where(SHARES < 0.3, 0, SHARES)).astype(np.float32)
TARGETS = (inputs.uniform((COUNT, CLASSES), 0.5, "targets") + 0.5).astype(np.float32)
HARD = (TARGETS > 0.5).astype(np.float32)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    return (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)


def _row(
    name: str, loss: str, x: np.ndarray, y: np.ndarray, weights: dict | None = None, samples: int = 4, **options
) -> CallRow:
    arrays = {"x": x, "y": y}
    if options.get("reduction") == "none":
        shape = np.delete(x.shape, 1) if loss in ("CrossEntropyLoss", "NLLLoss") else x.shape
        arrays["upstream"] = (1.5 + inputs.uniform(tuple(shape), 1.0, "upstream", name)).astype(np.float32)
    return CallRow(
        name,
        ("L2",),
        "losses",
        "losses.loss",
        "losses.loss",
        arrays,
        options=(("name", loss), ("weights", weights or {}), *options.items()),
        samples=samples,
        slow=("*-xla", "float32-eager"),
    )


def _reductions(name: str, loss: str, x: np.ndarray, y: np.ndarray, weights: dict | None = None) -> tuple[CallRow, ...]:
    kinds = ("mean", "sum", "none")
    return tuple(_row(f"{name}-{kind}", loss, x, y, weights, reduction=kind) for kind in kinds)


_WEIGHTED = {"weight": WEIGHT}

ROWS = (
    *_reductions("cross-entropy", "CrossEntropyLoss", LOGITS, LABELS),
    *_reductions("cross-entropy-weighted", "CrossEntropyLoss", LOGITS, IGNORED, _WEIGHTED),
    _row("cross-entropy-smoothed", "CrossEntropyLoss", LOGITS, IGNORED, _WEIGHTED, label_smoothing=0.1),
    _row("cross-entropy-smoothed-sum", "CrossEntropyLoss", LOGITS, IGNORED, _WEIGHTED, label_smoothing=0.1,
         reduction="sum"),
    _row("cross-entropy-shares-sum", "CrossEntropyLoss", LOGITS, SHARES, reduction="sum"),
    _row("cross-entropy-ignore-index", "CrossEntropyLoss", LOGITS, LABELS, ignore_index=int(LABELS[0])),
    _row("cross-entropy-shares", "CrossEntropyLoss", LOGITS, SHARES, _WEIGHTED, label_smoothing=0.2),
    _row("cross-entropy-maps", "CrossEntropyLoss", MAPS, MAP_LABELS, _WEIGHTED),
    _row("cross-entropy-100", "CrossEntropyLoss", SATURATED, LABELS, reduction="none"),
    *_reductions("nll", "NLLLoss", _log_softmax(LOGITS), LABELS),
    _row("nll-weighted", "NLLLoss", _log_softmax(LOGITS), IGNORED, _WEIGHTED),
    *_reductions("mse", "MSELoss", LOGITS, TARGETS),
    *_reductions("bce", "BCELoss", SHARES, TARGETS, _WEIGHTED),
    # One sample: rounding would move the probability 1 beyond 1.
    _row("bce-certain", "BCELoss", CERTAIN, HARD, samples=1, hard=True, reduction="none"),
    _row("bce-certain-sum", "BCELoss", CERTAIN, HARD, samples=1, hard=True, reduction="sum"),
    *_reductions("bce-logits", "BCEWithLogitsLoss", LOGITS, TARGETS, {"weight": WEIGHT, "pos_weight": WEIGHT[::-1]}),
    _row("bce-logits-100", "BCEWithLogitsLoss", SATURATED, HARD, {"pos_weight": WEIGHT}, reduction="none"),
)  # fmt: skip
