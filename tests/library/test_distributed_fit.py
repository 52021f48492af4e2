"""S7: Keras's `fit` on several workers: what it lacks, as long as it lacks it, and what `for_fit` makes of it."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_blitz.training.fitting import FitOnWorkers, for_fit
from keras_blitz.training.launcher import launch

pytestmark = pytest.mark.covers("S7")

CODE = """
import json, os, sys
import numpy as np
from keras_blitz.training.cluster import find_cluster
from keras_blitz.training.distributed import ALONE, join
cluster = find_cluster()
workers = join(cluster) if cluster else ALONE
import keras, keras_blitz, tensorflow as tf
from keras_blitz import optim
from keras_blitz.losses import CrossEntropyLoss
from keras_blitz.training.fitting import for_fit

random = np.random.RandomState(0)
x, y = random.randn(44, 6), random.randint(0, 4, 44)  # five batches of 8 and one of 4
with workers.scope(), keras_blitz.precision("float64"):
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Dense(8, activation="tanh")(inputs)))
    for variable in model.trainable_variables:
        variable.assign(np.random.RandomState(1).randn(*variable.shape) / 2)
    model = model if "plain" in sys.argv else for_fit(model)
    optimizer = optim.SGD(0.1, 0.9)
    model.compile(optimizer, CrossEntropyLoss(), metrics=["accuracy"])
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8).with_options(options)
    schedule = optim.schedules.StepLR(optimizer, step_size=2, gamma=0.5).callback(per="epoch")
    path = f"{sys.argv[1]}/{workers.rank}.keras"
    calls = [schedule, keras.callbacks.ModelCheckpoint(path, save_weights_only=False)]
    try:
        history = model.fit(data, epochs=3, verbose=0, callbacks=calls, validation_data=data).history
    except Exception as error:
        print(json.dumps({"raised": str(error)}), flush=True)
        os._exit(0)
    found = {"history": history, "evaluated": model.evaluate(data, verbose=0, return_dict=True)}
    found |= {"weights": [w.tolist() for w in model.get_weights()], "predicted": len(model.predict(data, verbose=0))}
    found["saved"] = os.path.exists(path)
print(json.dumps(found), flush=True)
"""


def run(workers: int, capfd, folder, *options) -> dict:
    command = [sys.executable, "-c", CODE, str(folder), *options]
    if workers == 1:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"TF_CONFIG": ""})
        return json.loads(done.stdout.splitlines()[-1])
    assert launch(workers, command, "fit") == 0
    return json.loads(capfd.readouterr().out.splitlines()[-1])


@pytest.mark.slow
def test_keras_still_breaks_off(capfd, tmp_path):
    """When this fails, Keras's own `fit` works on several workers: take `FitOnWorkers` away."""
    assert "Attempt to convert a value (PerReplica" in run(2, capfd, tmp_path, "plain")["raised"]


@pytest.mark.slow
def test_fit_on_two_workers_is_fit_in_one_process(capfd, tmp_path):
    two, one = run(2, capfd, tmp_path), run(1, capfd, tmp_path)
    assert set(two["history"]) == set(one["history"]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    for name, values in one["history"].items():
        np.testing.assert_allclose(two["history"][name], values, rtol=1e-8)
    for name, value in one["evaluated"].items():
        np.testing.assert_allclose(two["evaluated"][name], value, rtol=1e-8)
    for ours, theirs in zip(two["weights"], one["weights"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert (two["predicted"], two["saved"]) == (one["predicted"], one["saved"]) == (44, True)


def test_a_model_for_fit_shares_its_layers():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs), name="one")
    made = for_fit(model)
    assert isinstance(made, FitOnWorkers)
    assert made.name == "one"
    assert [id(variable) for variable in made.variables] == [id(variable) for variable in model.variables]
    made.compile("sgd", "mse", metrics=["mae"])
    history = made.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0).history
    assert set(history) == {"loss", "mae"}, "and it trains in one process as well"
