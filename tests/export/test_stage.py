"""The export stage on a run directory, its converters replaced by bytes."""

import hashlib
from concurrent.futures import Future

import numpy as np
import pytest

from toolkit.artifacts import Golden
from toolkit.card import Card
from toolkit.data.evidence import Calibration
from toolkit.errors import ConversionError, NotFoundError, ToolkitError
from toolkit.export.convert import convert
from toolkit.export.job import ExportJob
from toolkit.export.request import Request
from toolkit.export.stage import Base, Exporter
from toolkit.export.stage import export as export_stage
from toolkit.hosts import Host, HostError
from toolkit.models.adopt import models_of
from toolkit.models.source import ModelSource
from toolkit.runs import Run
from toolkit.source import RecipeSource

RECIPE = """
from toolkit import Recipe
recipe = Recipe("job", dict, keras=dict, torch=dict, loss="cross_entropy", labels=("no", "yes"),
                preprocessing={"a": ({"step": "reshape", "shape": [2, 2]},)}, output_name="y")
"""


class Converter(Host):
    """Answers each job with bytes that name it, or with the error given for its target."""

    def __init__(self, **errors):
        self.errors, self.jobs, self.logs, self.quantised = errors, [], [], []

    def submit(self, function, *args, log):
        self.logs.append(log.name)
        log.touch()
        future = Future()
        first, *rest = args
        if isinstance(first, Base):
            self.quantised.append(rest)
            name = rest[1]
            content = first.files[""] + f" {name}".encode()
            made = Base({"": content}, first.batch, first.note, 0.5)
        else:
            self.jobs.append(first)
            name = first.target
            batch = 1 if (first.model.framework, name) == ("torch", "tflite") else None
            content = f"{first.model.framework} {name}".encode()
            made = Base({"": content}, batch, "fixed" if batch else "", 1.23456)
        if name in self.errors:
            future.set_exception(self.errors[name])
        else:
            future.set_result(made)
        return future


SAMPLES = Calibration({"a": np.ones((3, 2, 2), np.uint8)}, np.arange(3), "c0ffee")


def export(run, targets, frameworks, host_of, calibration=None, **request):
    models = models_of(run)
    chosen = {name: models[name] for name in frameworks}
    wanted = Request(tuple(targets), **request)
    children = host_of(frameworks[0])
    return export_stage(Exporter(run, wanted, chosen, host_of, children), calibration)


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path, "job", RecipeSource(RECIPE, "job.py"), {})
    inputs = {"b": np.ones((5, 3), np.float32), "a": np.ones((5, 4), np.uint8)}
    golden = Golden(inputs, {"y": np.ones((5, 2), np.float32)}, np.arange(5) % 2)
    for framework, file in (("tf", "model.keras"), ("torch", "model.safetensors")):
        run.write(f"{framework}/golden.npz", golden.to_bytes())
        run.write(f"{framework}/{file}", f"{framework} weights".encode())
        run.record_framework(framework, {})
    return run


def test_every_target_of_every_framework_is_written_and_recorded(run):
    host = Converter()
    made = export(run, ["tflite", "onnx"], ["tf", "torch"], lambda _: host, opset=19)
    assert [file.file for file in made] == [
        "exports/job-tf-fp32.tflite",
        "exports/job-tf-fp32-opset19.onnx",
        "exports/job-torch-fp32.tflite",
        "exports/job-torch-fp32-opset19.onnx",
    ]
    assert run.exports == made
    assert [file.batch for file in made] == [None, None, 1, None]
    assert [bool(file.note) for file in made] == [False, False, True, False]
    for file in made:
        content = run.read(file.file)
        assert content == f"{file.framework} {file.target}".encode()
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert (file.precision, file.seconds) == ("fp32", 1.235)
    assert len(set(host.logs)) == 4


def test_a_job_says_all_that_a_converter_needs(run):
    host = Converter()
    export(run, ["onnx"], ["torch"], lambda _: host)
    (job,) = host.jobs
    assert (job.model.content, job.opset, job.model.recipe) == (b"torch weights", 18, run.source)
    said = job.manifest
    assert [(t.name, t.shape, t.dtype) for t in said.inputs] == [
        ("b", (None, 3), "float32"),
        ("a", (None, 2, 2), "uint8"),  # after preprocessing
    ]
    assert [(t.name, t.shape, t.dtype) for t in said.outputs] == [("y", (None, 2), "float32")]
    assert (said.decision, said.labels) == ("argmax", ("no", "yes"))
    assert said.preprocessing == {"b": [], "a": [{"step": "reshape", "shape": [2, 2]}]}
    assert (said.name, said.framework, said.target, said.precision) == (
        "job",
        "torch",
        "onnx",
        "fp32",
    )
    assert said.extra["run"] == run.name
    assert said.extra["opset"] == 18
    assert said.extra["recipe_sha256"] == run.source.sha256
    assert said.extra["tools"]["torch"]
    shapes = {name: (array.shape, array.dtype.name) for name, array in job.example(3).items()}
    assert shapes == {"b": ((3, 3), "float32"), "a": ((3, 2, 2), "uint8")}


def test_postprocessing_goes_into_the_manifest(tmp_path):
    run = described(tmp_path, 'postprocessing=({"step": "softmax"},), output_name="y"')
    host = Converter()
    export(run, ["onnx"], ["torch"], lambda _: host)
    assert host.jobs[0].manifest.postprocessing == [{"step": "softmax"}]


def test_postprocessing_that_the_outputs_do_not_fit_is_refused(tmp_path):
    run = described(tmp_path, 'postprocessing=({"step": "top_k", "k": 3},), output_name="y"')
    words = r"run .*: postprocessing: step 0 \(top_k\): .*k is 3"
    with pytest.raises(ConversionError, match=words):
        export(run, ["onnx"], ["torch"], lambda _: Converter())


def test_a_manifest_that_no_one_would_read_is_refused(tmp_path):
    run = described(tmp_path, 'output_name="y"')
    value = Card("job", labels=tuple("x" * 20 + str(n) for n in range(40_000))).to_json()
    run.update(card=value)
    with pytest.raises(ConversionError, match=r"manifest: .* bytes, over the limit of 1048576"):
        export(run, ["onnx"], ["torch"], lambda _: Converter())


def described(root, fields):
    """A run like `run`'s, whose recipe has these fields instead of the output's name."""
    text = RECIPE.replace('output_name="y"', fields)
    made = Run.create(root, "job", RecipeSource(text, "job.py"), {})
    inputs = {"b": np.ones((5, 3), np.float32), "a": np.ones((5, 4), np.uint8)}
    golden = Golden(inputs, {"y": np.ones((5, 2), np.float32)}, np.arange(5) % 2)
    made.write("torch/golden.npz", golden.to_bytes())
    made.write("torch/model.safetensors", b"torch weights")
    made.record_framework("torch", {})
    return made


def test_a_batch_and_a_layout_are_asked_of_the_converter(run):
    inputs = {"image": np.ones((5, 8, 8, 3), np.float32)}
    golden = Golden(inputs, {"y": np.ones((5, 2), np.float32)}, np.arange(5) % 2)
    run.write("tf/golden.npz", golden.to_bytes())
    host = Converter()
    export(run, ["onnx"], ["tf"], lambda _: host, batch=4, layout="nchw")
    (job,) = host.jobs
    assert job.batch == 4
    assert dict(job.permute) == {"image": (2, 0, 1)}
    assert job.manifest.inputs[0].shape == (4, 3, 8, 8)
    assert job.manifest.preprocessing["image"][-1] == {"step": "transpose", "axes": [2, 0, 1]}
    assert job.manifest.extra["layout"] == "nchw"


def test_a_savedmodel_gets_samples_to_warm_up_with_as_it_takes_them(run):
    inputs = {"image": np.arange(5 * 192, dtype=np.float32).reshape(5, 8, 8, 3)}
    golden = Golden(inputs, {"y": np.ones((5, 2), np.float32)}, np.arange(5) % 2)
    run.write("tf/golden.npz", golden.to_bytes())
    host = Converter()
    export(run, ["savedmodel", "onnx"], ["tf"], lambda _: host, layout="nchw")
    job, other = host.jobs
    assert job.target == "savedmodel"
    wanted = inputs["image"][:4].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(job.samples["image"], wanted)
    assert not other.samples


def test_calibration_samples_are_turned_into_the_files_layout(run):
    inputs = {"image": np.ones((5, 8, 8, 3), np.float32)}
    golden = Golden(inputs, {"y": np.ones((5, 2), np.float32)}, np.arange(5) % 2)
    run.write("tf/golden.npz", golden.to_bytes())
    host, samples = Converter(), Calibration(inputs, np.arange(5), "c0ffee")
    export(run, ["onnx"], ["tf"], lambda _: host, samples, precisions=("int8",), layout="nchw")
    ((_, _, given, _),) = host.quantised
    assert given.inputs["image"].shape == (5, 3, 8, 8)
    assert given.sha256 == "c0ffee"


def test_each_model_is_converted_once_and_quantised_from_there(run):
    host = Converter()
    wanted = ("fp32", "dynamic", "int8", "16x8")
    made = export(run, ["tflite", "onnx"], ["tf"], lambda _: host, SAMPLES, precisions=wanted)
    assert [file.file for file in made] == [
        "exports/job-tf-fp32.tflite",
        "exports/job-tf-dynamic.tflite",
        "exports/job-tf-int8.tflite",
        "exports/job-tf-16x8.tflite",
        "exports/job-tf-fp32-opset18.onnx",
        "exports/job-tf-dynamic-opset18.onnx",
        "exports/job-tf-int8-opset18.onnx",
    ]
    assert len(host.jobs) == 2
    assert run.read("exports/job-tf-int8.tflite") == b"tf tflite int8"
    assert [file.calibration for file in made] == ["", "", "c0ffee", "c0ffee", "", "", "c0ffee"]
    samples = {(target, precision): given for target, precision, given, _ in host.quantised}
    assert samples["tflite", "dynamic"] is None
    assert samples["tflite", "int8"].sha256 == samples["onnx", "int8"].sha256 == "c0ffee"


def test_a_precision_that_fails_spares_the_others(run):
    host = Converter(int8=ConversionError("operator X cannot be quantised"))
    with pytest.raises(ConversionError, match=r"to tflite int8 failed: operator X"):
        export(run, ["tflite"], ["tf"], lambda _: host, SAMPLES, precisions=("fp32", "int8"))
    assert [file.precision for file in run.exports] == ["fp32"]


def test_a_file_from_elsewhere_is_its_own_float_file(run):
    host = Converter()
    model = ModelSource("onnx", "onnx", {"net.onnx": b"given"})
    golden = run.golden("tf")
    run.write("onnx/golden.npz", golden.to_bytes())
    request = Request(("onnx",), ("fp32", "int8"))
    exporter = Exporter(run, request, {"onnx": model}, lambda _: host, host)
    assert [file.file for file in export_stage(exporter, SAMPLES)] == [
        "exports/job-onnx-fp32.onnx",
        "exports/job-onnx-int8.onnx",
    ]
    assert host.jobs == []
    assert run.read("exports/job-onnx-fp32.onnx") == b"given"


@pytest.mark.parametrize(
    "error",
    [
        HostError("killed by SIGSEGV", detail="last line"),
        ConversionError("no such operator", detail="last line"),
    ],
)
def test_a_failure_names_model_and_target_and_spares_the_others(run, error):
    host = Converter(tflite=error)
    with pytest.raises(ConversionError) as caught:
        export(run, ["tflite", "onnx"], ["torch"], lambda _: host)
    message = str(caught.value)
    assert message.startswith(f"PyTorch model of 'job' to tflite failed: {error}")
    assert str(run.log("export-torch-tflite")) in message
    assert caught.value.detail == "last line"
    assert [file.target for file in run.exports] == ["onnx"]
    assert run.read("exports/job-torch-fp32-opset18.onnx") == b"torch onnx"
    assert sorted(path.name for path in (run.path / "exports").iterdir()) == [
        "job-torch-fp32-opset18.onnx"
    ]


def test_frameworks_are_converted_where_they_belong(run):
    hosts = {"tf": Converter(), "torch": Converter()}
    export(run, ["onnx"], ["tf", "torch"], hosts.__getitem__)
    assert {name: [job.model.framework for job in host.jobs] for name, host in hosts.items()} == {
        "tf": ["tf"],
        "torch": ["torch"],
    }


def test_exporting_again_replaces(run):
    for _ in range(2):
        export(run, ["onnx"], ["tf"], lambda _: Converter())
    assert len(run.exports) == 1


def test_a_run_without_its_model_is_refused(run):
    (run.path / "tf" / "model.keras").unlink()
    with pytest.raises(NotFoundError, match=r"lacks tf/model\.keras"):
        export(run, ["onnx"], ["tf"], lambda _: Converter())


def test_labels_that_do_not_fit_the_outputs_are_reported_as_the_users_error(run):
    golden = run.golden("tf")
    three = Golden(golden.inputs, {"y": np.ones((5, 3), np.float32)}, golden.targets)
    run.write("tf/golden.npz", three.to_bytes())
    with pytest.raises(ToolkitError, match="labels"):
        export(run, ["onnx"], ["tf"], lambda _: Converter())


@pytest.mark.parametrize(("framework", "target"), [("jax", "onnx"), ("tf", "gguf"), ("", "")])
def test_an_unknown_conversion_is_refused(run, framework, target):
    job = ExportJob(ModelSource("recipe", framework), target, None)
    with pytest.raises(ValueError, match=f"no converter from {framework} to {target}"):
        convert(job)
