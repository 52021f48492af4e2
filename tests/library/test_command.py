"""What every command does about errors and Ctrl-C, its progress, and what a figure is kept with."""

import json
import os
import platform
import signal
import sys
from typing import Annotated

import pytest
import typer

from keras_blitz import command
from keras_blitz.errors import BlitzError
from keras_blitz.files import append_line
from keras_blitz.progress import progress_bar, track
from keras_blitz.quiet import import_tensorflow
from keras_blitz.versions import PACKAGES, conditions, versions


def raising(error):
    def app():
        raise error

    return app


@pytest.mark.parametrize(
    ("app", "status", "printed"),
    [
        (raising(BlitzError("no such file")), 2, "tool: error: no such file\n"),
        (raising(KeyboardInterrupt()), 130, ""),
        (raising(SystemExit(3)), 3, ""),
        (lambda: 1, 1, ""),
    ],
)
def test_status_of_a_command(app, status, printed, capsys):
    hook = sys.unraisablehook
    with pytest.raises(SystemExit) as ended:
        command.run(app, "tool")
    assert (ended.value.code, capsys.readouterr().err) == (status, printed)
    assert sys.unraisablehook is hook


@pytest.mark.parametrize("app", [lambda: None, lambda: 0])
def test_success_returns(app):
    assert command.run(app, "tool") is None


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        command.run(lambda: 1 // 0, "tool")


def test_a_file_that_the_system_refuses_is_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        command.run(raising(PermissionError(13, "Permission denied", "/results/x")), "tool")
    assert (ended.value.code, capsys.readouterr().err) == (2, "tool: error: /results/x: Permission denied\n")
    with pytest.raises(ChildProcessError):  # which says nothing that a user could fix
        command.run(raising(ChildProcessError(10, "No child processes")), "tool")


def test_a_reader_that_goes_away_ends_the_command_without_a_word(monkeypatch, capsys):
    monkeypatch.setattr(sys, "__stdout__", None)  # pytest's own stays open
    with pytest.raises(SystemExit) as ended:
        command.run(raising(BrokenPipeError(32, "Broken pipe")), "tool")
    assert (ended.value.code, capsys.readouterr().err) == (1, "")


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_closed_stream_costs_what_is_printed_there_and_no_more(monkeypatch, stream):
    monkeypatch.setattr(sys, stream, None)
    assert command.run(lambda: print("lost", file=sys.stderr) or print("lost"), "tool") is None
    assert getattr(sys, stream) is not None
    getattr(sys, stream).close()


def run_script(monkeypatch, main, *arguments) -> int | None:
    monkeypatch.setattr(sys, "argv", ["tool.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.run_script(main, "tool")
    return ended.value.code


def test_script_has_its_functions_options_and_help(monkeypatch, capsys):
    given = []

    def main(number: Annotated[int, typer.Option(help="How many.")] = 1) -> None:
        """Count."""
        given.append(number)

    assert not run_script(monkeypatch, main, "--number", "5")
    assert given == [5]
    assert run_script(monkeypatch, main, "--number", "x") == 2
    assert not run_script(monkeypatch, main, "--help")
    out = capsys.readouterr().out
    assert "Count." in out
    assert "How many." in out


def test_every_command_says_its_version(monkeypatch, capsys):
    from keras_blitz import __version__
    from parity.cli import main as parity

    assert not run_script(monkeypatch, lambda: None, "--version")
    said = capsys.readouterr().out
    assert said.startswith(f"keras-blitz {__version__}, python {platform.python_version()}, tensorflow ")
    monkeypatch.setattr(sys, "argv", ["parity", "--version"])
    with pytest.raises(SystemExit) as ended:
        parity()
    assert not ended.value.code
    with pytest.raises(SystemExit):
        command.argument_parser("Help.").parse_args(["--version"])
    assert capsys.readouterr().out.replace("\n", "") == said.replace("\n", "") * 2


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [(BlitzError("bad"), 2, "tool: error: bad\n"), (KeyboardInterrupt(), 130, "tool: stopped\n")],
)
def test_script_says_why_it_ends(monkeypatch, capsys, error, status, printed):
    assert run_script(monkeypatch, raising(error)) == status
    assert capsys.readouterr().err == printed


def test_deferred_interrupt_is_told_and_the_second_acts():
    # A shell starts a job in the background with SIGINT ignored; nothing would be raised there.
    started_with = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(signal.SIGINT)
    with command.defer_interrupts() as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    signal.signal(signal.SIGINT, started_with)


def test_progress_is_silent_without_a_terminal(capsys):
    assert list(track(["a", "b"], "work", str)) == ["a", "b"]
    with progress_bar(3, "work") as move:
        move(advance=1)
    assert capsys.readouterr() == ("", "")


def test_progress_shows_count_name_and_fields(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", "100")
    assert list(track(["first", "second"], "work", str.upper)) == ["first", "second"]
    shown = capsys.readouterr()
    assert "work" in shown.err
    assert "2/2" in shown.err
    assert "SECOND" in shown.err
    with progress_bar(4, "epoch {task.fields[epoch]}", "loss {task.fields[loss]:.2f}", epoch=1, loss=2.0) as move:
        move(completed=3, epoch=7, loss=0.5)
    shown = capsys.readouterr()
    assert "3/4" in shown.err
    assert "epoch 7" in shown.err
    assert "loss 0.50" in shown.err
    assert shown.out == ""


def test_versions_are_those_of_the_packages():
    import numpy

    assert list(versions()) == ["python", *PACKAGES]
    assert list(versions("rich")) == ["python", *PACKAGES, "rich"]
    assert versions()["numpy"] == numpy.__version__


def test_conditions_of_a_measurement_are_one_json_line():
    found = conditions()
    assert list(found) == ["date", "versions", "machine"]
    assert list(found["machine"]) == ["cpu", "cores", "load"]
    assert found["machine"]["cpu"]
    assert "\n" not in json.dumps(found)


def test_lines_are_added_to_what_is_there(tmp_path):
    for line in ("one", "two"):
        append_line(tmp_path / "lines.txt", line)
    assert (tmp_path / "lines.txt").read_text() == "one\ntwo\n"
    with pytest.raises(BlitzError, match="does not exist"):
        append_line(tmp_path / "nowhere" / "lines.txt", "one")


@pytest.mark.parametrize(
    ("content", "backend"), [('{"backend": "jax"}', "jax"), ("[", "tensorflow"), ("{}", "tensorflow")]
)
def test_the_backend_that_keras_json_asks_for_is_known_before_keras_is_imported(
    monkeypatch, tmp_path, content, backend
):
    (tmp_path / "keras.json").write_text(content)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if backend == "tensorflow":
        import_tensorflow()
    else:
        with pytest.raises(BlitzError, match="Keras is set to run on jax; set KERAS_BACKEND=tensorflow"):
            import_tensorflow()
