"""Errors with a next step, quiet and verbose, colours, completion."""

import os
import pty
import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete

from tests.conftest import ROOT
from toolkit import cli
from toolkit.cli_settings import commands

ESCAPE = "\x1b["


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["keys", "lits"], ["did you mean 'list'"]),
        (["train", "--workers"], ["requires an argument", "toolkit train --help"]),
        (["train", "--prove", "--resume"], ["either --prove or --resume"]),
        (["train", "--prove", "--workers", "1"], ["--workers 2 or more"]),
        (["train", "--resume"], ["unfinished", "toolkit runs"]),
        (["train", "--resume", "--epochs", "3"], ["--epochs cannot be given with --resume"]),
        (["train", "--resume", "--checkpoint-dir", "x"], ["--checkpoint-dir cannot be given"]),
        (["train", "digits", "--resume"], ["RECIPE cannot be given with --resume"]),
        (["trian"], ["did you mean 'train'"]),
        (["train", "lineer"], ["no recipe 'lineer'", "did you mean 'linear'"]),
        (["train", "nowhere/recipe.py"], ["nowhere/recipe.py", "cannot be read"]),
        (["train", "--framework", "tff"], ["--framework", "did you mean 'tf'"]),
        (["train", "--workers", "some"], ["--workers", "auto"]),
        (["train", "--workers", "99"], ["99 CPUs", "--workers", "--address"]),
        (["train", "--epochs", "0"], ["--epochs"]),
        (["export", "--target", "tflight"], ["--target", "did you mean 'tflite'"]),
        (["export"], ["no trained run", "train one first"]),
        (["verify"], ["no trained run", "train one first"]),
        (["train", "zzz"], ["there is: ", "path of a .py file"]),
        (["train", "no.py"], ["no.py", "toolkit init"]),
        (["verify", "--run", "x"], ["no run 'x'", "--runs-dir", "toolkit train"]),
        (["verify", "a"], ["two model files"]),
        (["export", "absent.onnx"], ["cannot be read"]),
        (["export", "nothing:here"], ["--samples"]),
        (["export", "--precision", "int9"], ["did you mean"]),
        (["export", "--io", "int8"], ["--io int8 needs --precision"]),
        (["inspect", "absent.onnx"], ["cannot be read"]),
        (["bundle", "--unsigned"], ["no trained run"]),
        (["bundle"], ["--unsigned"]),
        (["keys", "list"], ["toolkit keys new"]),
        (["verify", "a", "b", "--dry-run"], ["leave A and B out"]),
        (["inspect"], ["Missing argument 'FILE'", "toolkit inspect --help"]),
        (["inspect", "nofile"], ["nofile", "check the path"]),
        (["inspect", "."], ["give a model file"]),
        (["bench", "--seconds", "0"], ["--seconds", "toolkit bench --help"]),
        (
            ["run", "--target", "savedmodel", "--framework", "torch"],
            ["leave it out", "--framework"],
        ),
        (["run", "--precision", "int8"], ["at least 100 samples", "--precision dynamic"]),
        (["bundle", "--unsigned", "--license", "no"], ["--license no", "check the path"]),
        (["serve", "--token-file", "no"], ["TOOLKIT_TOKEN"]),
        (["runs", "-q", "-v"], ["either --quiet or --verbose"]),
        (["completion", "tcsh"], ["bash, fish, zsh"]),
    ],
)
def test_an_error_names_the_next_step(toolkit, tmp_path, arguments, words):
    result = toolkit(*arguments)
    assert result.code == 2
    assert result.err.startswith("error: ")
    assert len(result.err.splitlines()) <= 3
    for word in words:
        assert word in result.err
    assert not list(tmp_path.iterdir())


TORCH_ONLY = """
from toolkit import Data, Recipe, Split

def data():
    split = Split(VALUES, TARGETS)
    return Data(split, split)

recipe = Recipe(name="mine", data=data, torch=dict, loss="cross_entropy", labels=("a", "b"))
"""


@pytest.mark.parametrize(
    ("values", "targets", "options", "word"),
    [
        ("[1, 2, float('nan')]", "[0, 1, 1]", [], "sample 2 holds NaN"),
        ("[1, 2, 3]", "[0, 1, 2]", [], "class 2 is out of range"),
        ("[1, 2, 3]", "[0, 1]", [], "3 samples, targets have 2"),
        ("[1, 2, 3]", "[0, 1, 1]", ["--framework", "both"], "no 'keras' builder"),
    ],
)
def test_bad_recipes_and_data_are_refused_before_anything_starts(
    toolkit, tmp_path, values, targets, options, word
):
    text = TORCH_ONLY.replace("VALUES", values).replace("TARGETS", targets)
    (tmp_path / "mine.py").write_text(text)
    result = toolkit("train", "mine.py", *options)
    assert (result.code, word in result.err) == (2, True), result.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.parametrize("arguments", [[], ["keys"]])
def test_without_a_command_the_help_is_shown(toolkit, arguments):
    result = toolkit(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Usage: ")


def test_options_are_called_the_same_everywhere():
    kinds = {}
    for path, command in commands(cli.cli):
        names = {name for param in command.params for name in param.opts}
        assert {"--json", "--quiet", "-q", "--verbose", "-v", "--debug", "--config"} <= names, path
        for param in command.params:
            if isinstance(param, click.Option):
                kinds.setdefault(param.opts[-1], set()).add(param.is_flag)
    assert {name for name, found in kinds.items() if len(found) > 1} == set()


def test_quiet_leaves_results_and_verbose_adds_origins(toolkit, made, monkeypatch):
    assert toolkit("runs", "-q").out == toolkit("runs").out != ""
    monkeypatch.setenv("TOOLKIT_RUNS_DIR", "none")
    assert "no runs in none" in toolkit("runs").err
    assert toolkit("runs", "--quiet").err == ""
    told = toolkit("runs", "--verbose").err
    assert "--runs-dir none, from TOOLKIT_RUNS_DIR" in told
    assert "took " in told
    monkeypatch.setenv("TOOLKIT_QUIET", "1")
    assert toolkit("runs").err == ""
    assert "took " in toolkit("runs", "-v").err  # the more explicit counts


SCRIPT = """
import sys
from toolkit.console import Screen
screen = Screen()
screen.table(("a", "b"), [("ok", "x")], {"ok": "green"})
"""


def _environment(**more):
    names = ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE")
    found = {name: value for name, value in os.environ.items() if name not in names}
    return found | {"TERM": "xterm", "PYTHONPATH": str(ROOT)} | more


def _on_terminal(**more):
    """What the script writes to a terminal."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], stdout=theirs, env=_environment(**more), check=True
    )
    os.close(theirs)
    found = os.read(ours, 10000).decode()
    os.close(ours)
    assert done.returncode == 0
    return found


def _elsewhere(**more):
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, env=_environment(**more), check=True)
    return done.stdout.decode()


def test_colours_are_for_terminals():
    green = f"{ESCAPE}32m"
    assert green in _on_terminal()
    assert green not in _on_terminal(NO_COLOR="1")
    assert ESCAPE not in _on_terminal(TERM="dumb")
    assert ESCAPE not in _elsewhere()
    assert green in _elsewhere(FORCE_COLOR="1")


def test_a_reader_that_leaves_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m toolkit config --all | head -1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert "Error" not in done.stderr
    assert done.stdout.split() == ["command", "option", "value", "origin"]


def complete(*words):
    """What a shell is offered after `words`, of which the last is incomplete."""
    shell = ShellComplete(cli.cli, {}, "toolkit", "_TOOLKIT_COMPLETE")
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


def test_the_shell_completes_names_runs_and_files(toolkit, made, monkeypatch, tmp_path):
    assert complete("ver") == ["verify"]
    assert {"linear", "digits"} <= set(complete("train", ""))
    assert complete("train", "lin")[0] == "linear"
    assert complete("train", "--framework", "to") == ["torch"]
    assert complete("verify", "--run", "sha") == [made.name]
    assert complete("train", "--resume", "") == [made.name]
    assert complete("verify", "--run", "x") == []
    found = complete("inspect", "runs/")
    assert f"runs/{made.name}/exports/shapes-tf-fp32-opset18.onnx" in found
    assert made.name in complete("serve", "s")
    assert complete("completion", "") == ["bash", "zsh", "fish"]
    monkeypatch.chdir(tmp_path.parent)
    assert complete("verify", "--run", "sha") == []
    assert complete("verify", "--runs-dir", str(tmp_path / "runs"), "--run", "sha") == [made.name]


def test_runs_are_completed_where_the_settings_say(toolkit, made, tmp_path):
    (tmp_path / "toolkit.toml").write_text('[defaults]\nruns-dir = "moved"\n')
    (tmp_path / "runs").rename(tmp_path / "moved")
    assert complete("report", "--run", "") == [made.name]
    (tmp_path / "toolkit.toml").write_text("[damaged")
    assert complete("ver") == ["verify"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(toolkit, shell):
    script = toolkit("completion", shell).out
    assert f"_TOOLKIT_COMPLETE={shell}_complete" in script
    if shell == "bash":
        checked = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
        assert checked.returncode == 0
