"""O3, O4: the first learning rates of every schedule."""

import numpy as np

from parity.cases.rows import CallRow
from parity.core import inputs

STEPS, MORE_STEPS = 200, 70


def shrink(epoch: int) -> float:
    """Return the factor of an epoch, for the schedules that take a function."""
    return 1 - 0.1 / (1 + epoch)


SCHEDULES = {
    "step": ("StepLR", {"step_size": 7, "gamma": 0.7}),
    "multistep": ("MultiStepLR", {"milestones": [3, 30, 30, 90], "gamma": 0.3}),
    "exponential": ("ExponentialLR", {"gamma": 0.97}),
    "cosine": ("CosineAnnealingLR", {"T_max": 200}),
    "cosine-periods": ("CosineAnnealingLR", {"T_max": 13, "eta_min": 0.001}),
    "onecycle": ("OneCycleLR", {"max_lr": [0.3, 0.2], "total_steps": 200, "cycle_momentum": False}),
    "onecycle-three-phases": (
        "OneCycleLR",
        {"max_lr": 0.3, "total_steps": 210, "three_phase": True, "anneal_strategy": "linear", "pct_start": 0.4,
         "cycle_momentum": False},
    ),
    "plateau": ("ReduceLROnPlateau", {"patience": 2, "factor": 0.7}),
    "plateau-max": ("ReduceLROnPlateau", {"mode": "max", "patience": 1, "cooldown": 4, "min_lr": [0.01, 0.001]}),
}  # fmt: skip

# Schedules inside a schedule are named and given their options as the schedule itself is.
MORE = {
    "constant": ("ConstantLR", {"factor": 0.3, "total_iters": 11}),
    "linear": ("LinearLR", {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 30}),
    "lambda": ("LambdaLR", {"lr_lambda": shrink}),
    "multiplicative": ("MultiplicativeLR", {"lr_lambda": shrink}),
    "polynomial": ("PolynomialLR", {"total_iters": 60, "power": 0.9}),
    "restarts": ("CosineAnnealingWarmRestarts", {"T_0": 9, "T_mult": 2, "eta_min": 0.001}),
    "cyclic": (
        "CyclicLR",
        {"base_lr": [0.01, 0.02], "max_lr": 0.2, "step_size_up": 13, "step_size_down": 5, "mode": "triangular2",
         "cycle_momentum": False},
    ),
    "cyclic-exponential": (
        "CyclicLR",
        {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 13, "mode": "exp_range", "gamma": 0.99,
         "cycle_momentum": False},
    ),
    "sequential": (
        "SequentialLR",
        {"schedulers": [("LinearLR", {"start_factor": 0.1, "total_iters": 9}),
                        ("CosineAnnealingLR", {"T_max": 30, "eta_min": 0.001}), ("StepLR", {"step_size": 7})],
         "milestones": [10, 45]},
    ),
    "chained": (
        "ChainedScheduler",
        {"schedulers": [("ConstantLR", {"factor": 0.1, "total_iters": 7}), ("ExponentialLR", {"gamma": 0.99}),
                        ("CosineAnnealingLR", {"T_max": 40, "eta_min": 0.0001})]},
    ),
}  # fmt: skip

# Falls at first and then goes up and down, which is what a plateau is.
METRICS = (np.exp(-np.arange(STEPS) / 40) + inputs.uniform((STEPS,), 0.1, "metrics")).astype(np.float32)

ROWS = tuple(
    CallRow(
        f"schedule-{name}",
        ("O3",) if name in SCHEDULES else ("O4",),
        "schedules",
        "schedules.rates",
        "schedules.rates",
        {"metrics": METRICS} if schedule == "ReduceLROnPlateau" else {},
        options=(("name", schedule), ("options", options), ("steps", STEPS if name in SCHEDULES else MORE_STEPS)),
        runs=("float64-eager",),  # the update itself is compiled
        slow=("*",) if name in ("constant", "linear", "lambda", "multiplicative", "cyclic-exponential") else (),
    )
    for name, (schedule, options) in (SCHEDULES | MORE).items()
)
