"""Where options get their values, and which of several counts."""

import os
from pathlib import Path

import pytest

TOML = """
[defaults]
runs-dir = "all"  # of every command
seed = 1

[train]
seed = 2
workers = "1:2"
ledger = true

[run]
target = ["tflite", "micro"]
precision = "int8"

[keys.new]
name = "mine"
"""


def settings(toolkit, *arguments):
    """Value, origin and place by option."""
    result = toolkit("config", *arguments, "--json")
    assert result.code == 0, result.err
    (rows,) = result.json["commands"].values()
    return {row["option"]: (row["value"], row["origin"], row["place"]) for row in rows}


def test_the_more_specific_counts(toolkit, tmp_path, monkeypatch):
    (tmp_path / "toolkit.toml").write_text(TOML)
    found = settings(toolkit, "train")
    assert found["--seed"] == (2, "file", "toolkit.toml:7")
    assert found["--runs-dir"] == ("all", "file", "toolkit.toml:3")
    assert found["--workers"] == ("1:2", "file", "toolkit.toml:8")
    assert found["--ledger"] == (True, "file", "toolkit.toml:9")
    assert found["--keep"] == (3, "default", "")
    assert settings(toolkit, "run")["--seed"] == (1, "file", "toolkit.toml:4")
    monkeypatch.setenv("TOOLKIT_SEED", "3")
    assert settings(toolkit, "train")["--seed"] == (3, "environment", "TOOLKIT_SEED")
    monkeypatch.setenv("TOOLKIT_TRAIN_SEED", "4")
    assert settings(toolkit, "train")["--seed"] == (4, "environment", "TOOLKIT_TRAIN_SEED")
    assert settings(toolkit, "run")["--seed"] == (3, "environment", "TOOLKIT_SEED")
    found = settings(toolkit, "train", "digits", "--seed", "5")
    assert found["--seed"] == (5, "command line", "")
    assert found["RECIPE"] == ("digits", "command line", "")


def test_lists_and_groups(toolkit, tmp_path, monkeypatch):
    (tmp_path / "toolkit.toml").write_text(TOML)
    found = settings(toolkit, "run")
    assert found["--target"] == (["tflite", "micro"], "file", "toolkit.toml:12")
    assert found["--precision"] == (["int8"], "file", "toolkit.toml:13")
    assert settings(toolkit, "keys", "new")["--name"] == ("mine", "file", "toolkit.toml:16")
    monkeypatch.setenv("TOOLKIT_RUN_TARGET", "onnx pt2")
    assert settings(toolkit, "run")["--target"] == (
        ["onnx", "pt2"],
        "environment",
        "TOOLKIT_RUN_TARGET",
    )
    monkeypatch.setenv("TOOLKIT_KEYS_NEW_NAME", "yours")
    assert settings(toolkit, "keys", "new")["--name"][0] == "yours"


def test_settings_count_where_the_command_runs(toolkit, tmp_path):
    (tmp_path / "toolkit.toml").write_text('[defaults]\nruns-dir = "elsewhere"\njson = true\n')
    assert toolkit("runs").json == {"runs": []}
    result = toolkit("verify")
    assert "in elsewhere" in result.json["error"]


def test_a_file_above_is_found_and_its_paths_are_relative_to_it(toolkit, tmp_path, monkeypatch):
    (tmp_path / "toolkit.toml").write_text(
        '[defaults]\nruns-dir = "all"\n[train]\nrecipe = "mine.py"\n'
        'checkpoint-dir = "s3://key:pass@host/a?secret=1"\n[run]\nrecipe = "digits"\n'
    )
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    found = settings(toolkit, "train")
    assert found["--runs-dir"][0] == str(Path("..", "..", "all"))
    assert found["RECIPE"][0] == str(Path("..", "..", "mine.py"))
    assert found["--checkpoint-dir"][0] == "s3://(hidden)@host/a?(hidden)"
    assert settings(toolkit, "run")["RECIPE"][0] == "digits"


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_another_users_file_above_is_not_read_unasked(toolkit, tmp_path, monkeypatch):
    file = tmp_path / "toolkit.toml"
    file.write_text("[train]\nseed = 1\n")
    os.chown(file, 4321, -1)
    assert settings(toolkit, "train")["--seed"][0] == 1
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    assert "another user's" in toolkit("config", "train").err
    assert settings(toolkit, "train", "--config", file)["--seed"][0] == 1


def test_another_file_can_be_named(toolkit, tmp_path, monkeypatch):
    (tmp_path / "toolkit.toml").write_text("[train]\nseed = 1\n")
    (tmp_path / "other.toml").write_text("[train]\nseed = 2\n")
    assert settings(toolkit, "train", "--config", "other.toml")["--seed"][0] == 2
    monkeypatch.setenv("TOOLKIT_CONFIG", "other.toml")
    assert settings(toolkit, "train")["--seed"][0] == 2
    monkeypatch.setenv("TOOLKIT_CONFIG", "/dev/null")
    assert settings(toolkit, "train")["--seed"][1] == "default"
    result = toolkit("runs", "--config", "missing.toml")
    assert result.code == 2
    assert "missing.toml cannot be read" in result.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[train]\nwrokers = 2", ["toolkit.toml:2", "'wrokers'", "did you mean 'workers'"]),
        ("[trian]\nseed = 2", ["toolkit.toml:2", "did you mean 'train'"]),
        ("[trian]", ["[trian]", "did you mean 'train'"]),
        ("[keys.mew]\nname = 'x'", ["did you mean 'keys.new'"]),
        ("[keys.new]\nnam = 'x'", ["toolkit keys new", "did you mean 'name'"]),
        ("[defaults]\nruns_dir = 'x'", ["any command", "did you mean 'runs-dir'"]),
        ("[defaults]\nkeep = 3", ["not the same in all commands", "[train] or [run] or [clean]"]),
        ("[clean]\nyes = true", ["'yes' is no option"]),
        ("[train]\nseed = '2'", [":2: seed must be a whole number, not a text"]),
        ("[train]\nseed = -2", [":2: seed: -2 is not in the range"]),
        ("[train]\nledger = 1", ["ledger must be true or false, not a number"]),
        ("[train]\nframework = true", ["framework must be a text in quotes, not true or false"]),
        ("[train]\nframework = 'tff'", ["'tff' is not known", "did you mean 'tf'"]),
        ("[run]\ntarget = ['tflight']", ["target", "did you mean 'tflite'"]),
        ("[train]\nworkers = [2]", ["workers must be a number or a text, not a list"]),
        ("seed = 2", ["'seed' stands outside of a section", "[defaults]"]),
        ("[train\n", ["no TOML", "line 1"]),
    ],
)
def test_what_is_wrong_is_named_with_its_place(toolkit, tmp_path, text, words):
    (tmp_path / "toolkit.toml").write_text(text)
    result = toolkit("runs")
    assert result.code == 2
    assert result.err.startswith("error: toolkit.toml")
    for word in words:
        assert word in result.err


def test_a_default_of_all_must_fit_the_command_that_runs(toolkit, tmp_path):
    (tmp_path / "toolkit.toml").write_text("[defaults]\nframework = 'both'\n")
    assert settings(toolkit, "train")["--framework"][0] == "both"
    result = toolkit("bundle", "--unsigned")
    assert result.code == 2
    assert "toolkit.toml:2" in result.err
    assert "[bundle]" in result.err


def test_what_keeps_checkpoints_deletes_no_runs(toolkit, monkeypatch):
    monkeypatch.setenv("TOOLKIT_KEEP", "3")
    monkeypatch.setenv("TOOLKIT_YES", "1")
    assert settings(toolkit, "clean")["--keep"] == (None, "default", "")
    assert "TOOLKIT_KEEP sets nothing" in toolkit("config").err
    assert "TOOLKIT_YES sets nothing" in toolkit("config").err
    monkeypatch.setenv("TOOLKIT_TRAIN_KEEP", "4")
    assert settings(toolkit, "train")["--keep"][0] == 4


def test_a_wrong_variable_is_named(toolkit, monkeypatch):
    monkeypatch.setenv("TOOLKIT_TRAIN_WORKERS", "some")
    result = toolkit("train")
    assert result.code == 2
    assert "(from TOOLKIT_TRAIN_WORKERS)" in result.err


def test_config_shows_what_is_set_and_hides_secrets(toolkit, tmp_path, monkeypatch):
    assert "at their defaults" in toolkit("config").err
    (tmp_path / "toolkit.toml").write_text("[train]\nseed = 1\n")
    monkeypatch.setenv("TOOLKIT_TOKEN", "geheim")
    monkeypatch.setenv("TOOLKIT_WROKERS", "2")
    result = toolkit("config")
    assert result.out.split() == [
        *("command", "option", "value", "origin"),
        *("train", "--seed", "1", "file", "toolkit.toml:2"),
    ]
    assert "TOOLKIT_TOKEN is set" in result.err
    assert "did you mean 'TOOLKIT_WORKERS'" in result.err
    assert "geheim" not in result.out + result.err + toolkit("config", "--json", "serve").out
    assert len(toolkit("config", "--all").out.splitlines()) > 150
    assert "did you mean 'train'" in toolkit("config", "trian").err
    assert "did you mean 'keys new'" in toolkit("config", "keys").err
