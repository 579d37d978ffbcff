"""Options without argparse, and the commands' common behaviour."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge import __main__, cli, commands
from edge.cli import Command, Option, parse
from edge.errors import BrokenRuntimeError, InputError, ModelError

ROOT = Path(__file__).parents[2]
COMMAND = Command(
    "some",
    "Does something.",
    "edge.cli:nothing",
    (("MODEL", "path", "a file"),),
    (
        Option("--count", "how many", "N", commands.count, 1),
        Option("--bench", "how long", "SECONDS", commands.seconds, const=2.0),
        Option("--input", "what", "VALUE", many=True),
        Option("--json", "as JSON"),
    ),
)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["m"], {"path": "m", "count": 1, "bench": None, "input": [], "json": None}),
        (["--json", "m", "--count", "3"], {"json": True, "count": 3}),
        (["m", "--input", "-1e3", "--input=--json"], {"input": ["-1e3", "--json"], "json": None}),
        (["m", "--bench"], {"bench": 2.0}),
        (["m", "--bench", "--json"], {"bench": 2.0, "json": True}),
        (["m", "--bench", "0.5"], {"bench": 0.5}),
        (["--bench=3", "--", "--json"], {"bench": 3.0, "path": "--json"}),
        (["m", "--input", "a=b=c"], {"input": ["a=b=c"]}),
    ],
)
def test_options(argv, expected):
    parsed = vars(parse(COMMAND, argv))
    assert expected.items() <= parsed.items()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "MODEL is missing\nusage: some MODEL"),
        (["m", "n"], "'n' is one argument too many"),
        (["m", "--jsno"], r"no option is called --jsno; did you mean --json\?"),
        (["m", "--count"], "--count: N is missing"),
        (["m", "--input", "--json"], "--input: VALUE is missing"),
        (["m", "--count", "0"], "--count: '0' is not a number from 1 on"),
        (["m", "--bench", "inf"], "--bench: 'inf' is not a number of seconds above 0"),
        (["m", "--json=1"], "--json takes no value"),
    ],
)
def test_wrong_options(argv, words):
    with pytest.raises(InputError, match=words):
        parse(COMMAND, argv)


def test_every_command_runs_what_exists_and_explains_itself(capsys):
    for name, command in commands.COMMANDS.items():
        module, _, function = command.target.partition(":")
        assert callable(getattr(__import__(module, fromlist=["x"]), function))
        assert __main__.main([name, "--help"]) == 0
        text = capsys.readouterr().out
        assert text.startswith(f"usage: {name} ")
        assert all(option.name in text for option in command.options)
        assert max(map(len, text.splitlines())) <= 100


def test_without_a_command(capsys):
    assert __main__.main([]) == 2
    assert "COMMAND is missing" in capsys.readouterr().err
    assert __main__.main(["ran"]) == 2
    assert "no command is called 'ran'" in capsys.readouterr().err
    assert __main__.main(["--help"]) == 0
    assert "selftest" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError("x"), 2), (ModelError("x"), 2), (BrokenRuntimeError("x"), 3), (OSError("x"), 3)],
)
def test_exit_codes(monkeypatch, capsys, error, code):
    def fail(options):
        raise error

    monkeypatch.setattr(cli, "nothing", fail, raising=False)
    assert cli.execute(COMMAND, ["m"]) == code
    assert capsys.readouterr().err.startswith("error: ")


def test_help_and_info_load_neither_numpy_nor_a_runtime():
    code = """
import sys
from edge.__main__ import main
for argv in (["--help"], ["run", "--help"], ["info"]):
    assert main(argv) == 0
heavy = {"numpy", "onnxruntime", "ai_edge_litert", "argparse", "http"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_a_reader_that_leaves_is_no_error(tflite):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "edge", "run", tflite(), "4"]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
