"""The classic test functions of optimizers, and a small network whose true gradient is zero in one place.

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


def functions_port(dtype: str):
    """Return the Keras model of the three points."""
    import keras

    one = keras.Input((1,), dtype=dtype)
    dense = {n: keras.layers.Dense(size, use_bias=False, dtype=dtype, name=n) for n, size in SIZES.items()}
    return keras.Model(one, {name: layer(one) for name, layer in dense.items()}, name="functions")


def zero_gradient_port(dtype: str):
    """Return the Keras model of a convolution with a bias before a BatchNorm, and a dense layer."""
    import keras

    from keras_blitz.layers import BatchNorm, Conv2d

    image = keras.Input((8, 8, 2), dtype=dtype)
    x = Conv2d(4, 3, dtype=dtype, name="conv")(image)  # (N, 6, 6, 4)
    x = BatchNorm(dtype=dtype, name="bn")(x)
    x = keras.layers.ReLU(dtype=dtype, name="relu")(x)
    x = keras.layers.Flatten(dtype=dtype, name="flatten")(x)
    return keras.Model(image, keras.layers.Dense(10, dtype=dtype, name="fc")(x), name="zero_gradient")


def small_port(dtype: str):
    """Return the Keras model that parity/faults plants its mistakes in."""
    from parity.ports import small

    return small.network(dtype)


# Ports that are no network of the tutorials, beside keras_blitz.models.
PORTS = {"functions": functions_port, "zero_gradient": zero_gradient_port, "small": small_port}
