"""Files in a folder and lines of a stream, in real processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def watch(tflite):
    started = []

    def start(source, *options, model="double", **streams):
        command = [sys.executable, "-m", "edge", "watch", tflite(model), source, *options]
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def names(folder):
    return [path.name for path in folder.iterdir()]


def next_line(process, seconds=30):
    late = threading.Timer(seconds, process.kill)
    late.start()
    line = process.stdout.readline()
    late.cancel()
    assert line, "no answer"
    return json.loads(line)


def write(folder, name, array):
    np.save(folder / f".{name}", array)
    (folder / f".{name}.npy").rename(folder / f"{name}.npy")


def test_lines(watch):
    out, err = watch("-").communicate('4\n[1, 2]\n\nabc\n{"x": 3}\n-\n{"z": 3}\n5')
    lines = [json.loads(line) for line in out.splitlines()]
    assert err == ""
    assert [line["source"] for line in lines] == [1, 2, 4, 5, 6, 7, 8]
    assert [line.get("outputs", {}).get("y") for line in lines] == [
        [[8]], [[2], [4]], None, [[6]], None, None, [[10]],
    ]  # fmt: skip
    assert "none of them" in lines[2]["error"]
    assert "no input is called 'z'" in lines[5]["error"]


def test_lines_of_several_inputs(watch):
    out, _ = watch("-", model="two").communicate('{"a": [1, 2], "b": [3, 4]}\n1\n')
    good, bad = map(json.loads, out.splitlines())
    assert good["outputs"]["total"] == [[4, 6]]
    assert "give a JSON object with a, b" in bad["error"]


def test_an_answer_comes_before_the_next_line(watch):
    process = watch("-")
    for value in (1, 2, 3):
        process.stdin.write(f"{value}\n")
        process.stdin.flush()
        assert next_line(process)["outputs"]["y"] == [[2 * value]]
    process.stdin.close()
    assert process.wait(10) == 0


@pytest.mark.parametrize("options", [(), ("--hop", "1")])
def test_a_slow_reader_slows_the_writer(watch, options):
    """Neither side's pipe is read: the writer must come to a stop."""
    process = watch("-", *options)
    descriptor = process.stdin.fileno()
    os.set_blocking(descriptor, False)
    line, written, end = b"1\n" * 2048, 0, time.monotonic() + 8
    still = time.monotonic()
    while time.monotonic() < end and time.monotonic() - still < 1:
        try:
            written += os.write(descriptor, line)
            still = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    assert time.monotonic() - still >= 1, "the writer was never stopped"
    assert written < 200_000  # the two pipes and what was read with one line


def test_a_folder(watch, folder):
    write(folder, "a", np.array([[1.0]]))
    process = watch(folder, "--poll", "0.05")
    assert next_line(process) == {
        "source": "a.npy", "outputs": {"y": [[2.0]]}, "answers": None, "labels": None,
    }  # fmt: skip
    (folder / "b.csv").write_text("1,2\n")
    line = next_line(process)
    assert line["source"] == "b.csv"
    assert "expected one sample of shape" in line["error"]
    (folder / "c.exe").write_text("x")
    assert "a file .exe; known are" in next_line(process)["error"]
    (folder / "d.json").write_text('{"x": [5]}')
    assert next_line(process)["outputs"]["y"] == [[10]]
    for name in (".hidden.npy", "e.npy.part", "f.tmp"):
        (folder / name).write_text("x")
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")
    assert sorted(names(folder / "done")) == ["a.npy", "d.json"]
    assert sorted(names(folder / "failed")) == ["b.csv", "c.exe"]


def test_a_file_that_grows_is_left_alone(watch, folder):
    process = watch(folder, "--poll", "0.2")
    with (folder / "a.csv").open("w") as file:
        for value in range(10):
            file.write(f"{value}\n")
            file.flush()
            time.sleep(0.1)
    assert next_line(process)["outputs"]["y"] == [[2 * value] for value in range(10)]


def test_it_goes_on_with_what_is_left(watch, folder):
    for value in range(30):
        np.save(folder / f"{value:03}.npy", np.array([[float(value)]]))
    first = watch(folder, "--poll", "0.05")
    lines = [next_line(first) for _ in range(3)]
    first.send_signal(signal.SIGTERM)
    lines += [json.loads(line) for line in first.stdout]  # to its end
    assert first.wait(10) == 0
    assert len(names(folder / "done")) == len(lines)
    second = watch(folder, "--poll", "0.05", "--once")
    out, err = second.communicate(timeout=20)
    assert (second.returncode, err) == (0, "")
    lines += [json.loads(line) for line in out.splitlines()]
    assert [line["outputs"]["y"] for line in lines] == [[[2.0 * value]] for value in range(30)]


def test_the_same_name_twice_keeps_both(watch, folder):
    for _ in range(2):
        np.save(folder / "a.npy", np.array([[1.0]]))
        assert watch(folder, "--poll", "0.05", "--once").wait(10) == 0
    assert sorted(names(folder / "done")) == ["a.npy", "a.npy.1"]


def test_no_folder_is_two(watch, folder):
    _, err = (process := watch(folder / "none")).communicate()
    assert process.returncode == 2
    assert "not a folder" in err
