"""ONNX in onnxruntime, SavedModel and .keras give what the network gives."""

import numpy as np
import pytest

from keras_blitz.errors import BlitzError
from keras_blitz.export import export_onnx, run_onnx, save_saved_model
from keras_blitz.models import build, load_model

pytestmark = pytest.mark.covers("S5")

pytest.importorskip("tf2onnx")
SMALL = ("lenet", "cifar", "mlp", "mlp-last-relu", "mnist")


def network(name: str, **options):
    model = build(name, **options)
    images = np.random.RandomState(2).rand(3, *model.input_shape[1:]).astype(np.float32)
    return model, images, model(images, training=False).numpy()


@pytest.mark.parametrize("name", SMALL)
def test_onnx(tmp_path, name):
    model, images, expected = network(name)
    export_onnx(model, tmp_path / "model.onnx")
    np.testing.assert_allclose(run_onnx(tmp_path / "model.onnx", images), expected, atol=1e-6)
    export_onnx(model, tmp_path / "nchw.onnx", channels_first=True)
    first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(run_onnx(tmp_path / "nchw.onnx", first), expected, atol=1e-6)


@pytest.mark.slow
def test_onnx_of_vgg16(tmp_path):
    model, images, expected = network("vgg16")
    export_onnx(model, tmp_path / "vgg16.onnx")
    np.testing.assert_allclose(run_onnx(tmp_path / "vgg16.onnx", images), expected, atol=1e-5 * abs(expected).max())


@pytest.mark.slow
def test_onnx_of_resnet18(tmp_path):
    model, images, expected = network("resnet18", input_shape=(64, 64, 3), num_classes=7)
    export_onnx(model, tmp_path / "model.onnx")
    np.testing.assert_allclose(run_onnx(tmp_path / "model.onnx", images), expected, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("name", SMALL)
def test_saved_model_and_keras_file(tmp_path, name):
    import tensorflow as tf

    model, images, expected = network(name)
    save_saved_model(model, tmp_path / "saved")
    saved = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(saved.serve(images).numpy(), expected, atol=1e-6)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(load_model(tmp_path / "model.keras")(images, training=False).numpy(), expected)
    with pytest.raises(BlitzError, match="exists already"):
        save_saved_model(model, tmp_path / "saved")


def test_broken_onnx_file(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no")
    with pytest.raises(BlitzError, match=r"model\.onnx"):
        run_onnx(tmp_path / "model.onnx", np.zeros((1, 2), np.float32))
