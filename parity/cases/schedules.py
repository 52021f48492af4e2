"""O3: the first 200 learning rates of every schedule."""

import numpy as np

from parity.cases.rows import CallRow
from parity.core import inputs

STEPS = 200

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

# Falls at first and then goes up and down, which is what a plateau is.
METRICS = (np.exp(-np.arange(STEPS) / 40) + inputs.uniform((STEPS,), 0.1, "metrics")).astype(np.float32)

ROWS = tuple(
    CallRow(
        f"schedule-{name}",
        ("O3",),
        "schedules",
        "schedules.rates",
        "schedules.rates",
        {"metrics": METRICS} if schedule == "ReduceLROnPlateau" else {},
        options=(("name", schedule), ("options", options), ("steps", STEPS)),
        runs=("float64-eager",),  # the update itself is compiled
    )
    for name, (schedule, options) in SCHEDULES.items()
)
