"""A rolling window over lines: as the same windows one by one, in memory that stays."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.answer import answer, interpret
from edge.cli import execute
from edge.commands import WATCH
from edge.errors import InputError
from edge.manifest import ONNX_KEY, Manifest
from edge.present import as_json
from edge.runtime import load
from edge.stream import Stream
from edge.tensor import Tensor

ROOT = Path(__file__).parents[2]
STEPS, CHANNELS = 4, 2
MEAN = [{"step": "standardize", "mean": [1, 2], "std": [3, 4]}]
TEXTS = [
    {"step": "tokenise", "vocabulary": ["", "?", "a"], "length": 4, "unknown": 1, "padding": 0}
]


def stored(folder, shape=(STEPS, CHANNELS), steps=MEAN, dtype="float32"):
    """A file of y = x[0] + 2 x[1] + ..., three times with other weights; x [n, *shape].

    Where the first size of `shape` is a name, y is the greatest value of each channel.
    """
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto
    free = isinstance(shape[0], str)
    columns = shape[-1] if free else 3
    x = helper.make_tensor_value_info("x", kind.FLOAT, ["n", *shape])
    y = helper.make_tensor_value_info(
        "y", kind.INT64 if dtype == "int64" else kind.FLOAT, ["n", columns]
    )
    count = 1 if free else int(np.prod(shape))
    weights = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    if free:
        nodes = [helper.make_node("ReduceMax", ["x"], ["z"], axes=[1], keepdims=0)]
    else:
        flat, product = ("Flatten", ["x"], ["f"]), ("MatMul", ["f", "w"], ["z"])
        nodes = [helper.make_node(*each) for each in (flat, product)]
    nodes.append(helper.make_node("Cast", ["z"], ["y"], to=y.type.tensor_type.elem_type))
    w = onnx.numpy_helper.from_array(weights, "w")
    model = helper.make_model(
        helper.make_graph(nodes, "stream", [x], [y], [w]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    described = Manifest(
        name="stream",
        framework="torch",
        target="onnx",
        precision="fp32",
        inputs=(
            Tensor(
                "x", (None, *(None if free else size for size in shape[:1]), *shape[1:]), "float32"
            ),
        ),
        outputs=(Tensor("y", (None, columns), dtype),),
        preprocessing={"x": steps} if steps else {},
        decision="argmax" if dtype == "float32" else "value",
        labels=("a", "b", "c")[:columns] if dtype == "float32" else None,
        postprocessing=[{"step": "softmax"}] if dtype == "float32" else (),
    )
    onnx.helper.set_model_props(model, {ONNX_KEY: described.to_json()})
    path = folder / "stream.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return stored(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(path):
    return load(path)


SAMPLES = st.lists(st.floats(-1e3, 1e3, width=32), min_size=CHANNELS, max_size=CHANNELS)


def one_by_one(model, items, hop, average):
    """What a stream has to say about each item, from whole windows; None is a gap."""
    said, run, recent = [], [], []
    for item in items:
        if item is None:
            run, recent = [], []
            said.append("error")
            continue
        run.append(item)
        if len(run) < STEPS or (len(run) - STEPS) % hop:
            said.append(None)
            continue
        window = np.array(run[-STEPS:])
        recent = [*recent, answer(model, {"x": window}).outputs["y"]][-average:]
        said.append(as_json(interpret(model, {"y": np.mean(recent, axis=0)})))
    return said


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | SAMPLES, max_size=30), st.integers(1, 7), st.integers(1, 3))
def test_answers_are_those_of_the_windows_one_by_one(model, items, hop, average):
    stream, said = Stream(model, hop, average=average), []
    for number, item in enumerate(items):
        text = "nothing" if item is None else json.dumps(item)
        line = text if number % 2 else text.strip("[]")  # JSON or CSV
        try:
            said.append(stream.take(line.encode()))
        except InputError:
            said.append("error")
    assert said == one_by_one(model, items, hop, average)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"1", r"a sample is 2 numbers, one a channel; got an array of shape \[1\]"),
        (b"1,2,3", r"shape \[1, 3\]"),
        (b"[[1,2],[3,4]]", r"shape \[2, 2\]"),
        (b"1,x", "'x' is not a number"),
        (b"1,nan", "NaN or infinity"),
        (b'{"x": 1}', "is not a number|holds no numbers"),
        (b"model.npy", "holds no numbers"),
        (b"[1,", "not JSON"),
        (b"\xff,1", "not UTF-8"),
    ],
)
def test_a_line_that_is_no_sample_begins_the_window_anew(model, line, words):
    stream = Stream(model, 1)
    for _ in range(STEPS - 1):
        assert stream.take(b"1,2") is None
    with pytest.raises(InputError, match=words):
        stream.take(line)
    said = [stream.take(b"1,2") for _ in range(STEPS)]
    assert [each is not None for each in said] == [False, False, False, True]


def test_a_header_is_no_gap_but_only_in_the_first_line(model):
    stream = Stream(model, 1)
    assert stream.take("\ufeffax,ay".encode()) is None
    with pytest.raises(InputError, match="holds no numbers"):
        stream.take(b"ax,ay")
    with pytest.raises(InputError, match="holds no numbers"):
        Stream(model, 1).take(b"one,two,three")


def test_a_model_of_any_length_needs_the_window(tmp_path):
    model = load(stored(tmp_path, ("t", 2), steps=()))
    with pytest.raises(InputError, match="state the samples with --window"):
        Stream(model, 1)
    stream = Stream(model, 2, window=3, average=2)
    said = [stream.take(b"%d,%d" % (n, -n)) for n in range(6)]
    given = [each and each["outputs"]["y"] for each in said]
    assert given == [None, None, [[2, 0]], None, [[3, -1]], None]


def test_one_channel_is_a_number_a_line(tmp_path):
    stream = Stream(load(stored(tmp_path, (3,), steps=())), 1)
    assert [bool(stream.take(line)) for line in (b"1", b"[2]", b"3e0")] == [False, False, True]


@pytest.mark.parametrize(
    ("shape", "steps", "dtype", "options", "words"),
    [
        ((4, 2), MEAN, "float32", {"window": 5}, "takes windows of 4 samples, not 5"),
        ((8, 8, 1), (), "float32", {}, r"\[steps, channels\]; this one takes \[8, 8, 1\]"),
        ((4,), TEXTS, "float32", {}, "takes texts, which have no windows"),
        ((4, 2), (), "int64", {"average": 2}, "answers whole numbers"),
        (("t", 2), (), "float32", {"window": 1 << 24}, "over 16777216 values"),
    ],
)
def test_models_without_such_windows_are_refused(tmp_path, shape, steps, dtype, options, words):
    model = load(stored(tmp_path, shape, steps, dtype))
    with pytest.raises(InputError, match=words):
        Stream(model, 1, **options)


def test_a_window_that_the_steps_do_not_make_fit_is_refused_at_once(tmp_path):
    frames = [
        {"step": "transpose", "axes": [1, 0]},
        {"step": "window", "length": 4, "hop": 2},
    ]
    model = load(stored(tmp_path, (2, 3, 4), frames))  # axes, frames, values
    with pytest.raises(InputError, match="got an array of shape"):
        Stream(model, 1, window=6)
    assert Stream(model, 1, window=8).take(b"1,2") is None


def test_a_file_of_several_windows_at_a_time_is_refused(onnx):
    with pytest.raises(InputError, match="takes 8 windows at a time"):
        Stream(load(onnx(batch=8)), 1)


def test_several_inputs_are_refused(tflite):
    with pytest.raises(InputError, match="several inputs"):
        Stream(load(tflite("two")), 1)


@pytest.fixture
def watch(path):
    started = []

    def start(*options):
        command = [sys.executable, "-m", "edge", "watch", path, "-", *options]
        process = subprocess.Popen(
            list(map(str, command)), cwd=ROOT, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_pipe(watch, model):
    process = watch("--hop", "2")
    process.stdin.write("ax,ay\n1,2\n3,4\n5,6\n\n7,8\n")  # the blank line is no gap
    first = json.loads(process.stdout.readline())  # though the pipe stays open
    window = np.arange(1.0, 9).reshape(STEPS, CHANNELS)
    assert first == {"source": 6, **as_json(answer(model, {"x": window}))}
    process.stdin.write("oops\n")
    assert json.loads(process.stdout.readline())["source"] == 7
    process.stdin.write("1,2\n3,4\n5,6\n7,8\n9,10\n")
    again = json.loads(process.stdout.readline())
    assert again == {**first, "source": 11}
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("-", ("--window", "4"), "--window is of a stream of samples: give --hop"),
        ("-", ("--average", "4"), "--average is of a stream of samples: give --hop"),
        (".", ("--hop", "4"), "--hop is about lines of standard input"),
        ("-", ("--hop", "0"), "--hop: '0' is not a number from 1 on"),
    ],
)
def test_options_without_a_stream(path, capsys, source, options, words):
    assert execute(WATCH, [str(path), source, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err


CODE = """
import sys
from edge.errors import InputError
from edge.runtime import load
from edge.stream import Stream

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

stream = Stream(load(sys.argv[1]), 5, average=3)

def feed(times):
    for index in range(times):
        line = "%d,%d" % (index, -index) if index % 1000 else "gap"
        try:
            stream.take(line.encode())
        except InputError:
            pass

feed(3000)
before = resident()
feed(15_000)
print(resident() - before)
"""


def test_memory_does_not_grow(path):
    done = subprocess.run(
        [sys.executable, "-c", CODE, path], cwd=ROOT, env=os.environ, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1 << 20
