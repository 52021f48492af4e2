"""What happens to the learning rate in 100 steps: nothing, a change by hand, a schedule."""

CHANGED_AT = 50  # after this step the rate falls to a tenth

# PyTorch's name of the schedule and its arguments; "onecycle" cycles the momentum, too.
SCHEDULES = {
    "schedule": ("CosineAnnealingLR", {"T_max": 60}),
    "onecycle": ("OneCycleLR", {"total_steps": 101}),
}

PLANS = ("constant", "changed", "schedule")
