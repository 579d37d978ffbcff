"""Runs made by hand, without training: files that really answer, figures that are made up."""

import hashlib
import json
from concurrent.futures import Future
from xml.etree import ElementTree

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from toolkit.artifacts import Check, Export, Golden
from toolkit.hosts import Host
from toolkit.runs import Run
from toolkit.source import RecipeSource

RECIPE = """
from toolkit import Recipe
recipe = Recipe("shapes", dict, keras=dict, torch=dict, loss="cross_entropy",
                metrics=("accuracy",), labels=LABELS, input_name="image", output_name="logits")
"""
HOSTILE = "<script>alert('x')</script>&\"\x00\ud800"


class Here(Host):
    """Runs functions in this process, which costs no start."""

    def submit(self, function, *args, log):
        future = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:  # noqa: BLE001 - as a host does it
            future.set_exception(error)
        return future


def classifier(weights):
    """An ONNX file: images [n, 4, 4, 1] to logits [n, 3]."""
    kind = TensorProto.FLOAT
    x = helper.make_tensor_value_info("image", kind, ["n", 4, 4, 1])
    y = helper.make_tensor_value_info("logits", kind, ["n", 3])
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
    ]
    w = numpy_helper.from_array(weights.astype(np.float32), "w")
    graph = helper.make_graph(nodes, "g", [x], [y], [w])
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def rows(framework, epochs, loss=1.0):
    """Rows of metrics.jsonl."""
    return [
        {"epoch": n, "step": 10 * n, "time": 1.0, "loss": loss / n, "val_loss": loss * 1.1 / n}
        | {"val_accuracy": 1 - 0.5 / n}
        for n in range(1, epochs + 1)
    ]


def make_run(root, *, labels=("circle", "square", "star"), passed=True, origin="shapes.py"):
    """A run of both frameworks with two files each: one exact, one coarse."""
    source = RecipeSource(RECIPE.replace("LABELS", repr(labels)), origin, {"epochs": 3})
    facts = {"seed": 7, "epochs": 3, "global_batch": 8, "versions": {"python": "3.12.1"}}
    facts["data"] = {"sha256": "ab" * 32, "train": 1234, "validation": 60, "records": {}}
    run = Run.create(root, "shapes", source, facts)
    random = np.random.default_rng(0)
    images = random.random((60, 4, 4, 1)).astype(np.float32)
    exports, checks = [], []
    for framework in ("torch", "tf"):
        weights = random.normal(size=(16, 3))
        logits = images.reshape(60, 16) @ weights.astype(np.float32)
        golden = Golden({"image": images}, {"logits": logits}, logits.argmax(1))
        run.write(f"{framework}/golden.npz", golden.to_bytes())
        run.append_rows("metrics", framework, rows(framework, 3))
        last = {"loss": 0.3, "val_loss": 0.37, "val_accuracy": 0.83}
        training = {"world": 2, "threads": 1, "steps": 30, "epochs": 3, "seconds": 1.5, "notes": []}
        run.record_framework(framework, training | last)
        for precision, noise in (("int8", 0.4), ("fp32", 0.0)):
            content = classifier(weights + noise * random.normal(size=(16, 3)))
            sha256 = hashlib.sha256(content).hexdigest()
            file = f"exports/shapes-{framework}-{precision}-opset18.onnx"
            run.write(file, content)
            exports.append(
                Export(file, framework, "onnx", precision, None, len(content), sha256, 1.5)
            )
            good = passed or precision == "fp32"
            checks.append(check(file, framework, sha256, good))
    run.add_exports(exports)
    run.write("verification.json", json.dumps({"passed": passed, "checks": checks}).encode())
    run.update(status="trained")
    return run


def check(file, framework, sha256, passed):
    """A row of verification.json."""
    told = Check(
        *(file, framework, "onnx", "onnxruntime 1.32.0", 0, 1e-6, 0.98, passed),
        metric="accuracy",
        before=0.9,
        after=0.88,
        drop=0.02,
        low=-0.01,
        high=0.05,
        samples=60,
        sha256=sha256,
        reason="" if passed else "2.0% of the decisions changed",
        blame=""
        if passed
        else "Quantiser: the fp32 file is right (error 1.0e-07). The first bad layer is MatMul "
        "'logits': its values are off by 0.5 of their spread, what goes in by 0.01.",
    )
    return vars(told)


def bench_of(run):
    """The content of bench.json."""
    files = [
        {"file": export.file.rpartition("/")[2], "bytes": export.bytes, "threads": 1, "batch": 1}
        | {"p50_us": 10.0 + 3 * index, "p99_us": 20.0, "samples_per_s": 5e4, "memory_bytes": 10**7}
        | {"metric": "accuracy", "score": 0.9 - index / 100, "agreement": 0.98, "runtime": "r"}
        | {"sha256": export.sha256}
        for index, export in enumerate(run.exports)
    ]
    return json.dumps({"run": run.name, "files": files}).encode()


def ladder():
    """Rungs as run.json keeps them."""
    made = [("int8", 500, "too coarse"), ("fp32", 2000, "")]
    return [
        {"framework": "tf", "target": "onnx", "precision": precision, "reason": reason}
        | {"export": {"bytes": length}, "checks": [{"kept": 0.9, "drop": 0.01}]}
        for precision, length, reason in made
    ]


def parse(page):
    """The page as a tree; fails where it is not well-formed."""
    text = page.decode() if isinstance(page, bytes) else page
    assert text.startswith("<!DOCTYPE html>\n<html")
    return ElementTree.fromstring(text.partition("\n")[2])


def words(tree):
    """All text of a tree."""
    return " ".join("".join(tree.itertext()).split())


@pytest.fixture(scope="session")
def full_run(tmp_path_factory):
    """A run with all there can be."""
    run = make_run(tmp_path_factory.mktemp("runs"), passed=False)
    run.write("bench.json", bench_of(run))
    run.write("bundles/shapes-1.0.0.edge", b"x" * 4321)
    run.update(ladder=ladder(), machine={"system": "Linux", "cpu": "Chip 9", "cpus": 2})
    return run
