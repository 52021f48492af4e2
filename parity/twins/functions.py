"""The classic test functions of optimizers.

A function's point is the weight of a layer that is fed a one, so that the recorders see a network like any other. The
functions are of plain operators, and so the same for both frameworks: it is the optimizers that are compared.
"""

# ½ Σ cᵢ xᵢ²: gradients of sizes from 1e-4 to 1e2 side by side.
CURVATURES = (1e-4, 1e-3, 1e-2, 0.2, 1.0, 10.0, 100.0)  # none is a weight decay, which `maximize` would cancel

SIZES = {"rosenbrock": 2, "beale": 2, "quadratic": len(CURVATURES)}


def rosenbrock(x, y):
    """100 (y − x²)² + (1 − x)², least at (1, 1)."""
    return 100 * (y - x * x) ** 2 + (1 - x) ** 2


def beale(x, y):
    """(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)², least at (3, 0.5)."""
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y * y) ** 2 + (2.625 - x + x * y * y * y) ** 2


def total(points: dict):
    """Return the sum of the three functions, each at its own point (1, size)."""
    found = rosenbrock(*_coordinates(points, "rosenbrock")) + beale(*_coordinates(points, "beale"))
    for curvature, x in zip(CURVATURES, _coordinates(points, "quadratic"), strict=True):
        found = found + 0.5 * curvature * x * x
    return found


def _coordinates(points: dict, name: str) -> list:
    return [points[name][0, i] for i in range(SIZES[name])]
