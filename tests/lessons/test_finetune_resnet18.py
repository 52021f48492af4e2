import importlib.util
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.covers("S4")

SCRIPT = Path(__file__).parents[2] / "scripts" / "finetune_resnet18.py"


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """Return the script as a function of its arguments, in a folder of its own; `module` has its parts."""
    spec = importlib.util.spec_from_file_location("finetune_resnet18", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "finetune_resnet18", module)  # dataclasses look there
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["finetune_resnet18.py", *map(str, arguments)])
        module.main()

    run.module = module
    return run


def rows(printed):
    """Return {(way, loop): what stands in the other columns}."""
    lines = [line.split() for line in printed.splitlines()]
    return {tuple(line[:2]): line[2:] for line in lines if len(line) == 8 and line[1] in ("fit", "tape")}


def test_the_three_ways_end_with_the_same_head(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--dry-run"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    found = rows(done.stdout)
    assert list(found) == [(way, loop) for way in ("plain", "outside", "features") for loop in ("fit", "tape")]
    assert max(float(row[-1]) for row in found.values()) < 1e-4
    assert "parameters to train: 5,130" in done.stdout
    assert "accuracy of the new head before training" in done.stdout
    assert "random initial values of seed 0" in done.stdout
    assert "running statistics: stood still" in done.stdout
    assert done.stderr == ""

    import keras_blitz

    network = keras_blitz.load_model(tmp_path / "resnet18-finetuned.keras")
    assert network.output_shape == (None, 10)
    assert (tmp_path / "resnet18-finetuned.png").stat().st_size > 10_000


@pytest.mark.slow
def test_train_mode_with_augmentation_leaves_features_out(lesson, capsys):
    lesson("--dry-run", "--mode", "train", "--augment", "--output", "net.keras")
    printed = capsys.readouterr().out
    assert list(rows(printed)) == [(way, loop) for way in ("plain", "outside") for loop in ("fit", "tape")]
    assert max(float(row[-1]) for row in rows(printed).values()) < 1e-4
    assert "left out: features (features are computed once, and an augmented image is another one" in printed
    assert "running statistics: moved" in printed


def test_only_the_head_is_trained_and_by_pytorchs_rule(lesson):
    """Two steps on features given, momentum 0.9, against NumPy."""
    module = lesson.module
    sys.argv[1:] = ["--dry-run", "--batch-size", "50"]
    options = module.arguments()
    network = module.build(options)
    before = {weight.path: weight.numpy() for weight in network.weights}
    random = np.random.RandomState(0)
    features, labels = random.rand(100, 512).astype(np.float32), random.randint(0, 10, 100)
    batches = list(module.loader(features, labels, options))
    module.with_tape(module.parts(network, "features", training=False), iter(batches), 2, options, lambda: None)

    w, b = (before[f"fc/{name}"].astype(np.float64) for name in ("kernel", "bias"))
    velocity = [0, 0]
    for x, y in batches:
        logits = x @ w + b
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p = p / p.sum(-1, keepdims=True) - np.eye(10)[y]
        velocity = [0.9 * v + g for v, g in zip(velocity, (x.T @ p / len(y), p.mean(0)), strict=True)]
        w, b = w - 0.01 * velocity[0], b - 0.01 * velocity[1]
    np.testing.assert_allclose(network.fc.kernel.numpy(), w, atol=1e-6)
    np.testing.assert_allclose(network.fc.bias.numpy(), b, atol=1e-6)
    unchanged = [weight for weight in network.weights if not weight.path.startswith("fc/")]
    assert all(np.array_equal(before[weight.path], weight.numpy()) for weight in unchanged)


def test_the_order_is_a_shuffling_data_loaders_and_turned_images_are_turned(lesson):
    module = lesson.module
    sys.argv[1:] = ["--images", "40", "--batch-size", "15", "--epochs", "2", "--augment"]
    options = module.arguments()
    images = np.random.RandomState(0).randint(0, 256, (40, 4, 5, 1)).astype(np.uint8)
    found = list(module.loader(images, np.arange(40), options))
    assert [len(labels) for _, labels in found] == [15, 15, 10] * 2
    first, second = (np.concatenate([labels for _, labels in found[k : k + 3]]) for k in (0, 3))
    assert sorted(first) == sorted(second) == list(range(40))
    assert list(first) != list(second)
    turned = [not np.array_equal(x, images[i]) for xs, labels in found for x, i in zip(xs, labels, strict=True)]
    assert 20 < sum(turned) < 60
    flipped = [x[:, ::-1] if t else x for (xs, _), k in zip(found, range(6), strict=True)
               for x, t in zip(xs, turned[sum(len(v) for _, v in found[:k]) :], strict=False)]  # fmt: skip
    np.testing.assert_array_equal(flipped, images[np.concatenate([labels for _, labels in found])])
    again = list(module.loader(images, np.arange(40), options))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(found, again, strict=True))


def test_a_checkpoints_backbone_is_taken_and_its_head_is_not(lesson):
    import keras_blitz
    from keras_blitz.convert import convert
    from keras_blitz.weights import state_dict

    donor = keras_blitz.models.resnet18(num_classes=7, input_shape=(32, 32, 3))
    donor.save("donor.keras")
    convert("donor.keras", "donor.safetensors", "resnet18")
    sys.argv[1:] = ["--dry-run", "--weights", "donor.safetensors"]
    found = state_dict(lesson.module.build(lesson.module.arguments()))
    for name, value in state_dict(donor).items():
        assert name.startswith("fc.") or np.array_equal(value, found[name])
    assert found["fc.weight"].shape == (10, 512)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--way", "features", "--augment"], "--way features: features are computed once, and an augmented image"),
        (["--way", "features", "--mode", "train"], "--way features: features are computed once, and in train mode"),
        (["--images", "2001"], "--images 2001: the sample has 2000 training images"),
        (["--images", "51", "--mode", "train"], "a last batch of one image"),
        (["--output", "net.h5"], "--output net.h5: the network is saved as .keras"),
        (["--output", "nowhere/net.keras"], "the folder nowhere does not exist"),
        (["--weights", "missing.pth"], "missing.pth"),
        (["--lr", "-1"], "lr"),
        (["--epochs", "0"], "must be a whole number from 1 to 2,147,483,647, not '0'"),
        (["--size", "x"], "must be a whole number from 32 to 1,024, not 'x'"),
        (["--workers", "51"], "--batch-size 50: must be at least 51, an image for each part"),
    ],
)
def test_what_cannot_be_is_one_line(lesson, capsys, tmp_path, arguments, said):
    with pytest.raises(SystemExit) as left:
        lesson(*arguments)
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert error.splitlines()[-1].count("error: ") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("loop", ["fit", pytest.param("tape", marks=pytest.mark.slow)])
def test_ctrl_c_ends_cleanly_and_at_once(tmp_path, loop):
    """In a process of its own: after Ctrl-C within `fit`, Python may wait for the data pipeline and never end."""
    arguments = ["--way", "outside", "--loop", loop, "--images", "100", "--size", "32", "--epochs", "5000"]
    with subprocess.Popen(
        [sys.executable, "-u", SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=tmp_path, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        try:
            while not process.stdout.readline().startswith("way"):
                assert process.poll() is None
            time.sleep(3)  # into the training
            process.send_signal(signal.SIGINT)
            error = process.communicate(timeout=30)[1]
        finally:
            process.kill()
    assert process.returncode == 130
    assert error == "finetune_resnet18: stopped; nothing is saved\n"
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_plot_is_left_out(lesson, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(lesson.module, "find_spec", lambda name: None)
    lesson("--dry-run", "--way", "features", "--loop", "tape")
    assert "no plot of the loss: it needs matplotlib" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["resnet18-finetuned.keras"]
