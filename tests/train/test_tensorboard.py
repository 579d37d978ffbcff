"""The real TensorBoard, asked over HTTP about a run while it is written."""

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pytest

from toolkit.train.events import EventWriter, buckets

WEIGHTS = np.random.default_rng(1).normal(size=(16, 8)).astype(np.float32)


def graph_def():
    """A graph of two nodes, without TensorFlow."""
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.compat.proto.node_def_pb2 import NodeDef

    nodes = [NodeDef(name="x", op="Placeholder"), NodeDef(name="y", op="Relu", input=["x"])]
    return GraphDef(node=nodes).SerializeToString()


def rows(*epochs, loss):
    return [
        {"epoch": n, "step": 10 * n, "time": 1000.0 + n, "loss": loss / n, "val_mae": n / 2}
        for n in epochs
    ]


class TensorBoard:
    """A running TensorBoard."""

    def __init__(self, port):
        self._base = f"http://127.0.0.1:{port}/data/"

    def read(self, path):
        with urllib.request.urlopen(f"{self._base}{path}", timeout=10) as answer:
            return answer.read()

    def text(self, path, **query):
        return self.read(f"{path}?{urllib.parse.urlencode(query)}").decode()

    def json(self, path, **query):
        return json.loads(self.text(path, **query))

    def until(self, wanted, ask, seconds=60):
        """Ask until the answer is as wanted; TensorBoard looks for news once a second."""
        deadline, answer = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError, KeyError):
                answer = ask()
                if answer == wanted:
                    return
            time.sleep(0.1)
        assert answer == wanted


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def tensorboard(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder.parent / "tensorboard.log"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--reload_interval", "1"]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            board = TensorBoard(port)
            board.until({}, lambda: board.json("plugin/scalars/tags"))
            yield board
        finally:
            process.terminate()
            process.wait(20)


def test_a_run_is_followed_through_a_restart(tensorboard, folder):
    run = "linear-1/tensorboard/tf"
    first = EventWriter(folder / run)
    first.graph(graph_def())
    first.rows(rows(1, 2, 3, 4, loss=8.0))
    first.histograms(20, {"model/w": WEIGHTS, "model/nothing": np.zeros(0)})
    first.histograms(40, {"model/w": WEIGHTS + 1})

    def scalars(tag):
        return lambda: tensorboard.json("plugin/scalars/scalars", run=run, tag=tag)

    def histograms():
        return tensorboard.json("plugin/histograms/histograms", run=run, tag="model/w")

    # Each value is [wall time, step, number].
    tensorboard.until([[1000.0 + n, 10 * n, 8.0 / n] for n in (1, 2)] + [
        [1003.0, 30, pytest.approx(8 / 3)], [1004.0, 40, 2.0]
    ], scalars("loss"))  # fmt: skip
    assert set(tensorboard.json("plugin/scalars/tags")[run]) == {"epoch", "loss", "val_mae"}
    assert scalars("epoch")() == [[1000.0 + n, 10 * n, float(n)] for n in (1, 2, 3, 4)]
    assert set(tensorboard.json("plugin/histograms/tags")[run]) == {"model/w"}
    found = histograms()
    assert [step for _, step, _ in found] == [20, 40]
    assert found[0][2] == buckets(WEIGHTS).tolist()
    assert sum(count for _, _, count in found[1][2]) == WEIGHTS.size
    assert tensorboard.json("plugin/graphs/info")[run]["run_graph"]
    graph = tensorboard.text("plugin/graphs/graph", run=run)
    assert 'name: "y"' in graph
    assert 'op: "Relu"' in graph

    # Worker lost after epoch 4; the newest checkpoint knows epoch 2.
    first.close()
    second = EventWriter(folder / run, first_step=20)
    second.rows(rows(3, loss=-8.0))
    second.histograms(30, {"model/w": WEIGHTS * 2})
    kept = [[1001.0, 10, 8.0], [1002.0, 20, 4.0]]
    tensorboard.until([*kept, [1003.0, 30, pytest.approx(-8 / 3)]], scalars("loss"))
    tensorboard.until([20, 30], lambda: [step for _, step, _ in histograms()])
    assert histograms()[1][2] == buckets(WEIGHTS * 2).tolist()
    second.close()


def test_images_and_texts_are_shown(tensorboard, folder):
    run = "digits-1/tensorboard/verify"
    writer = EventWriter(folder / run)
    writer.images(5, {"golden/image": np.random.default_rng(0).random((3, 6, 7, 1))})
    writer.text("precisions", "| file |\n|---|\n| a.onnx |")
    writer.close()
    tensorboard.until(
        3, lambda: tensorboard.json("plugin/images/tags")[run]["golden/image"]["samples"]
    )
    (image,) = tensorboard.json("plugin/images/images", run=run, tag="golden/image", sample=2)
    assert image["step"] == 5
    content = tensorboard.read(f"plugin/images/individualImage?{image['query']}")
    assert content.startswith(b"\x89PNG")
    assert tensorboard.json("plugin/text/tags")[run] == ["precisions"]
    (text,) = tensorboard.json("plugin/text/text", run=run, tag="precisions")
    assert "<td>a.onnx</td>" in text["text"]
