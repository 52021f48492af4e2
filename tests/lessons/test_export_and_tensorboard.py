"""The lessons on saving and on TensorBoard, run from top to bottom; the logs read back."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_blitz.training import summaries

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(monkeypatch, name: str, *options) -> int | None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, options)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    return ended.value.code


@pytest.mark.covers("S5")
def test_vgg16_lesson(monkeypatch, capsys, tmp_path):
    pytest.importorskip("tf2onnx")
    assert not run(monkeypatch, "vgg16_export", "--dry-run", "--output", tmp_path)
    out = capsys.readouterr().out
    assert "eval mode, twice:  the same: True" in out
    for name in (
        "weights: differs by 0.0e+00",
        "whole model: differs by 0.0e+00",
        "SavedModel:",
        "ONNX, channels first:",
    ):
        assert name in out
    assert {path.name for path in tmp_path.iterdir()} == {
        "lenet.weights.h5", "lenet.keras", "lenet-saved", "lenet.onnx", "lenet-nchw.onnx"
    }  # fmt: skip


@pytest.mark.covers("S6")
def test_every_kind_of_summary_is_in_the_logs(monkeypatch, tmp_path):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    assert not run(monkeypatch, "tensorboard_tour", "--dry-run", "--logdir", tmp_path)
    (file,) = tmp_path.glob("events*")
    plugins, graphs = {}, 0
    for event in EventFileLoader(str(file)).Load():
        graphs += bool(event.graph_def)
        for value in event.summary.value:
            plugins.setdefault(value.metadata.plugin_data.plugin_name, set()).add(value.tag)
    assert {"scalars", "images", "histograms", "text", "pr_curves", "audio", "hparams"} <= set(plugins)
    assert {"four images", "images with labels", "confusion matrix"} <= plugins["images"]
    assert len(plugins["pr_curves"]) == 10
    assert plugins["hparams"] == {"_hparams_/experiment", "_hparams_/session_start_info"}
    assert graphs == 1
    assert (tmp_path / "projector_config.pbtxt").is_file()
    assert np.loadtxt(tmp_path / "features.tsv", delimiter="\t").shape == (200, 512)


def test_precision_and_recall():
    table = summaries.pr_table(np.array([True, True, False, False]), np.array([0.9, 0.4, 0.6, 0.1]), 3)
    np.testing.assert_allclose(table[:, 1], [1, 1, 1, 1, 0.5, 0.5])  # from 0.5 on: one right, one wrong, one missed
    np.testing.assert_allclose(table[:, 0], [2, 2, 0, 0, 0.5, 1])
