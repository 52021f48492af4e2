"""What a measured figure depends on: the versions of the packages, and the machine."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("keras-blitz", "tensorflow", "keras", "numpy")


def versions(*further: str) -> dict[str, str]:
    """Return the versions of Python, of the packages that every figure depends on, and of further ones."""
    return {"python": platform.python_version()} | {name: version(name) for name in (*PACKAGES, *further)}


def conditions(*further: str) -> dict[str, Any]:
    """Return the date, `versions` and `machine`, as a measurement is kept with."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {"date": date, "versions": versions(*further), "machine": machine()}


def machine() -> dict[str, str | int | float]:
    """Return the CPU's name, its cores as the system counts them, and its load, the mean of the last minute."""
    return {"cpu": cpu_name(), "cores": os.cpu_count() or 1, "load": round(os.getloadavg()[0], 2)}


def cpu_name() -> str:
    """Return the CPU's name as the system has it; its architecture where the system has none."""
    info = Path("/proc/cpuinfo")
    if info.is_file():  # Linux; ARM's has no name
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line[:10] == "model name"]
        return names[0] if names else platform.machine()
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip() or platform.machine()
    return platform.machine()
