"""How far apart is still equal: a table, each row with its reason.

float64 proves the algebra: the largest error, relative to the tensor's largest magnitude, is bounded by `FLOAT64`.
float32 is judged against the truth, PyTorch in float64: the port's error ÷ PyTorch's own, bounded by the ratios below.
Measured on an honest port of ResNet18 (5 seeds × eager, graph, XLA; outputs and all gradients): float64 worst 3.4e-15;
float32 RMS ratio worst 3.1, median 1.1–1.5, largest-error ratio worst 5.1.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from parity.core.modes import ulp


@dataclass(frozen=True)
class Tolerance:
    """One row: what it holds for, the relative bound, and why it is not tighter.

    Args:
        case: pattern of case ids.
        tensor: pattern of tensor names.
        relative: bound on max|actual − expected| / max|expected|.
        reason: what was measured.
    """

    case: str
    tensor: str
    relative: float
    reason: str


# The last row that fits a tensor holds.
FLOAT64 = (
    Tolerance("*", "*", 1e-12, "rounding of float64 sums; the algebra is the same"),
    Tolerance("schedule-*", "*", 1e-15, "the same Python floats in the same order; measured 0"),
    Tolerance("*-functions-*", "step*", 1e-10, "what 100 updates make of the rounding of each; measured 1.2e-11"),
    *(
        Tolerance(
            "adam-zero-gradient-*", tensor, 1e-8,
            "the bias before a BatchNorm: its true gradient is 0, and Adam divides rounding by eps; measured 2.1e-11 "
            "after one step, 7.4e-10 after 100, and so the running mean",
        )
        for tensor in ("step*:param:conv.bias", "step*:buffer:bn.running_mean")
    ),
    *(
        Tolerance("train-*", tensor, 1e-9, "what 250 and more updates make of the rounding of each; measured 1.2e-13")
        for tensor in ("step*", "output:logits")
    ),
    Tolerance("train-distributed-*", "*", 1e-12, "100 updates of two workers; measured 2.7e-13"),
    Tolerance(
        "train-distributed-*-resnet18-*", "step*", 1e-9,
        "what 100 updates make of the rounding of BatchNorms over 4×2×2 values: measured 5.4e-10; PyTorch's DDP "
        "differs from itself by 6.4e-10 when the images of each rank's batches are reversed",
    ),
    Tolerance(
        "inception_v3-train-*", "*", 2e-11,
        "BatchNorm of the auxiliary head over three values a channel; measured 5.2e-12; PyTorch differs from itself by "
        "7.4e-12 when these three images are reversed, with two images by 5.7e-12, with four by 9.6e-12",
    ),
    Tolerance(
        "gap:bn-f32-cancel", "*", 4e-6,
        "float32, |mean| 100 std: PyTorch's own error is 2.3e-6, the exact spelling differs by that; naive 1.0e-5",
    ),
    Tolerance(
        "gap:prec-mixed-default-dtype", "*", 1e-10,
        "PyTorch keeps NAdam's product of momenta in float32 but where the default dtype is float64; measured 2.1e-11",
    ),
    Tolerance("gap:data-color", "*", 1e-7, "float32: the grey mean is summed in another order; measured 3.0e-8"),
    Tolerance("gap:op-var-large-mean", "*", 1e-6, "float32, |mean| 10,000 std: PyTorch's own error is 4.3e-7"),
    Tolerance(
        "gap:op-matmul-f32", "*", 2e-6,
        "float32 sums of 300 products, blocked as the CPU likes: PyTorch's own error is 3.9e-7 or 6.9e-7, and so is "
        "TensorFlow's; measured 0 to 5.9e-7 by the CPU's instructions",
    ),
    Tolerance(
        "gap:opt-adam-f32-step1", "*", 2.4e-7,
        "float32: two units in the last place; a quotient or a root is one off on some CPUs, measured 1.2e-7; "
        "naive 6.6e-6",
    ),
    Tolerance("gap:op-cumsum-f32", "*", 1e-6, "a float32 sum: PyTorch's own error is 5.7e-8, TensorFlow's 2.5e-7"),
)  # fmt: skip

# A float64 sum so small beside the terms it is summed of is zero. Over the golden traces 28 such sums (biases before a
# BatchNorm in train mode) are at most 3.7e-16 of their terms; the other 278 are at least 6.7e-3 of theirs.
CANCELLED = 1e-12

# Where terms cancel, rounding moves a tensor by more than 1e-12 of its largest value in float64, too. How far is known
# from PyTorch's own float32 error: the same operations round to 2⁻⁵³ and not to 2⁻²⁴. The scale is then the value of
# which 10 (as `MAX_RATIO`) of such roundings are 1e-12. Right random pairs are off by at most 7 of them; half of all
# their tensors by less than 0.3, 99 of 100 by less than 3.
ROUNDED_SCALE = 10.0 * 2.0**-29 / 1e-12

# Where the size of a sum's terms is known, 10 roundings of it to 2⁻⁵³ are 1e-12 of this scale. PyTorch's BatchNorm sums
# its mean in float64 whatever the precision, so its float32 error says too little of it. After BatchNorms whose biases
# are zero the mean is zero but for rounding: right ports of a MobileNet-like net are off by 0.15 roundings at most.
SUMMED_SCALE = 10.0 * 2.0**-53 / 1e-12

# A value so close to PyTorch's, relative to its scale, is the same value: what a layer was given, or what a candidate
# for the reason of a difference returns. Rounding in float64 stays below 1e-12. In float32 a fifth of all golden
# activations have an own error above it (4e-5 in the deepest networks): there the error is reported further upstream.
SAME_VALUE = 1e-6

# What two layers were given is one value where it is so near, relative to its scale: then their weights are paired. It
# pairs and judges nothing, and the nearest of several wins, so it may be wide. float64: as above, so that Keras's
# constants in float32 (6e-8) do not part what belongs together. float32: ten times the largest own error of a golden
# activation (4e-5). Half precision: the same number of units in the last place would be all of a value, so it is eight.
# Two values are told apart only where one is ten times as near, or rounding explains both. By the type of arithmetic.
GIVEN = {"float64": SAME_VALUE, "float32": 4e-4, "float16": 2.0**-7, "bfloat16": 2.0**-4}
GIVEN_ROUNDING = {"float64": 1e-12, "float32": 1e-6, "float16": 2.0**-9, "bfloat16": 2.0**-6}
GIVEN_FACTOR = 10.0

# Evidence is called weak where more than this share of an activation's channels is zero throughout the batch: most of
# what the layers after it compute is not tested. No case of a plain run comes near it.
DEAD_SHARE = 0.5
DEAD_OF = 16  # values in a channel, at least: with fewer, all may be zero by chance (2⁻¹⁶ for a ReLU's 16)

# float32 and reduced precisions: port's error / PyTorch's own error in the same, both against PyTorch in float64.
RMS_RATIO = 4.0  # of each tensor
MAX_RATIO = 10.0  # of each tensor's largest error
MEDIAN_RATIO = 2.0  # over a case's activations, outputs and loss; N1–N4 measure 0.4–1.9
MEDIAN_OF = 3  # tensors at least; the test functions of the optimizers have but a loss to be judged, and that is luck
FLOOR_ULP = 4  # an error below so many units in the last place of max|truth| is rounding, whatever the ratio
# TensorFlow takes a float32 below 2^-126 (1e-38) for zero, PyTorch does not. Of 160 dense layers, whose gradients
# become that small, some 50 right gradients were off by up to 1e-38.
FLUSHED = 8 * 2.0**-126
POOL_BELOW = 64  # tensors with fewer values are judged together: a few values' own error is luck
POOL_OUTLIER = 10.0  # but one whose own error is so many times the pool's median is judged alone

# Pattern of cases -> small tensors are judged together with those of so many successive steps, not of all. A long run's
# error grows a millionfold (MNIST at 0.1: 1e-8 at step 10, 6e-2 at step 50), and the late steps would excuse the early.
POOL_STEPS = {"train-*": 10}

# float32 against float32 without the truth: a screen, not a proof.
FLOAT32_SCREEN = Tolerance(
    "*", "*", 1e-4, "only a screen: PyTorch's own error is not known; two honest sides of N1–N4 differ by up to 3e-6"
)


def float64_bound(case: str, tensor: str) -> Tolerance:
    """Return the row of `FLOAT64` that holds for a tensor."""
    return next(row for row in reversed(FLOAT64) if fnmatchcase(case, row.case) and fnmatchcase(tensor, row.tensor))


def pooled_steps(case: str) -> int | None:
    """Return over how many successive steps the small tensors of a case are judged together; None: over all."""
    return next((steps for pattern, steps in POOL_STEPS.items() if fnmatchcase(case, pattern)), None)


def floor(scale: float, dtype: str) -> float:
    """Return `FLOOR_ULP` units in the last place of a number of this magnitude in a type; 0 for 0.

    In float32 it is at least `FLUSHED`.
    """
    least = FLUSHED if dtype == "float32" else 0.0
    return max(FLOOR_ULP * ulp(scale, dtype), least) if scale else 0.0
