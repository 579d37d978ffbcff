"""The Dockerfiles, as far as they can be judged without Docker."""

import fnmatch
import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

FILES = [ROOT / "deploy/docker/Dockerfile", ROOT / "deploy/docker/Dockerfile.gpu"]
KNOWN = {"FROM", "RUN", "ENV", "WORKDIR", "COPY", "USER", "ENTRYPOINT", "CMD"}

both = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def instructions(path: Path) -> list[tuple[str, str]]:
    """(instruction, arguments) in order; comments gone, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def arguments(path: Path, instruction: str) -> list[str]:
    return [rest for word, rest in instructions(path) if word == instruction]


def copied(path: Path) -> list[str]:
    return [source for line in arguments(path, "COPY") for source in line.split()[:-1]]


def ignored(name: str) -> bool:
    """Whether .dockerignore keeps a file out of what is built from; the last match counts."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if not line.startswith("#") and fnmatch.fnmatch(name, pattern):
            verdict = not line.startswith("!")
    return verdict


@both
def test_every_instruction_is_one(path: Path) -> None:
    words = [word for word, _ in instructions(path)]
    assert set(words) <= KNOWN
    assert words[0] == "FROM"


@both
def test_everything_that_is_copied_exists_and_reaches_the_builder(path: Path) -> None:
    for name in copied(path):
        assert (ROOT / name).exists()
        assert not ignored(name)
    assert ignored("runs")
    assert ignored(".venv")


@both
def test_what_the_package_is_built_from_is_copied(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    needed |= set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert needed <= set(copied(path))


@both
def test_packages_come_before_code(path: Path) -> None:
    lines = [f"{word} {rest}" for word, rest in instructions(path)]
    locked = next(i for i, line in enumerate(lines) if "-r requirements.lock" in line)
    assert lines.index("COPY requirements.lock ./") < locked < lines.index("COPY toolkit toolkit")


@both
def test_commands_are_shell(path: Path) -> None:
    commands = arguments(path, "RUN")
    assert len(commands) == 4
    for command in commands:
        subprocess.run(["sh", "-n", "-c", command], check=True)
        subprocess.run(["bash", "-n", "-c", command], check=True)


@both
def test_it_runs_the_toolkit_as_nobody_special(path: Path) -> None:
    assert arguments(path, "USER") == ["toolkit"]
    assert json.loads(*arguments(path, "ENTRYPOINT")) == ["toolkit"]
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert "toolkit" in scripts
    words = [word for word, _ in instructions(path)]
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "RUN")


@both
def test_python_is_one_that_the_package_supports(path: Path) -> None:
    from packaging.specifiers import SpecifierSet

    (base,) = arguments(path, "FROM")
    version = re.fullmatch(r"python:(\d+\.\d+)-slim", base)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert version is not None
    assert version[1] in SpecifierSet(project["requires-python"])


def test_cuda_tensorflow_is_the_locked_one() -> None:
    (command,) = [run for run in arguments(FILES[1], "RUN") if "tensorflow[and-cuda]" in run]
    pinned = next(word for word in shlex.split(command) if word.startswith("tensorflow"))
    assert pinned.replace("[and-cuda]", "") in (ROOT / "requirements.lock").read_text().split()


def test_both_files_differ_in_cuda_alone() -> None:
    cpu, gpu = (set(instructions(path)) for path in FILES)
    differ = {word for word, _ in cpu ^ gpu}
    assert differ == {"ENV", "RUN"}
    assert len(cpu - gpu) == 2
