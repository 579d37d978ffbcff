"""Two files compared: matched by name, asked the same, and told apart in words."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.manifest import ONNX_KEY, Manifest
from edge.tensor import Tensor
from tests.verify.pairs import Here, compared, source
from toolkit.errors import CheckError, UsageError
from toolkit.hosts import ChildProcesses, HostError
from toolkit.models.source import ModelSource
from toolkit.verify.pair import compare_pair

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


def product(factor=2.0, names=("x", "y"), batch="n", shape=(3,), manifest=None):
    """y = factor * x, elementwise, as an ONNX file."""

    def value(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *shape])

    nodes = [helper.make_node("Mul", [names[0], "factor"], [names[1]])]
    weight = numpy_helper.from_array(np.float32(factor), "factor")
    graph = helper.make_graph(nodes, "g", [value(names[0])], [value(names[1])], [weight])
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    if manifest is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = ONNX_KEY, manifest.to_json()
    return source(model.SerializeToString(), "onnx")


def told(**fields):
    """A manifest of `product`."""
    tensors = [(Tensor(name, (None, 3), "float32"),) for name in "xy"]
    return replace(Manifest("m", "torch", "onnx", "fp32", *tensors), **fields)


def test_a_file_agrees_with_itself():
    result = compared(product(), product(), {"x": X})
    assert (result.passed, result.reasons, result.places) == (True, (), ())
    assert (result.samples, result.made_up, result.precision) == (20, False, "fp32")
    assert result.comparison.error == 0
    assert result.lines()[-1] == "the two agree"


def test_inputs_are_made_up_from_the_signature_and_are_the_same_every_time():
    one, other = (compared(product(), product(3.0)) for _ in range(2))
    assert one == other
    assert one.made_up
    assert not one.passed
    assert one.comparison.worst.index == one.places[0].index


def test_a_difference_is_told_where_it_is():
    factor = np.float32([2, 2, 2.5])
    result = compared(product(), product(factor), {"x": X})
    (place,) = result.places
    sample = int(np.abs(X[:, 2]).argmax())
    assert (place.output, place.index) == ("y", (sample, 2))
    assert (place.expected, place.got) == (2 * X[sample, 2], 2.5 * X[sample, 2])
    (reason,) = result.reasons
    assert reason.startswith("error ")
    assert str(place) in reason
    told = f"is {place.got:.9g} instead of {place.expected:.9g}, {place.error:.1e} of the range"
    assert f"differs     output 'y' at [{sample}, 2] {told} away" in result.lines()
    assert result.lines()[-2:] == ["the two differ", f"  {reason}"]


def test_the_result_is_json_whatever_is_in_it():
    nan = compared(product(), product(np.nan), {"x": X})
    value = json.loads(json.dumps(nan.to_json(), allow_nan=False))
    assert (value["passed"], value["error"], value["snr"]) == (False, None, None)
    assert value["differences"][0]["got"] is None
    assert value["differences"][0]["index"] == [0, 0]
    same = compared(product(), product(), {"x": X}).to_json()
    assert (same["passed"], same["reasons"], same["snr"], same["kept"]) == (True, [], None, 1.0)


@pytest.mark.parametrize("given", [None, {"x": X}])
def test_other_names_are_refused_though_place_and_shape_fit(given):
    with pytest.raises(UsageError, match=r"x.*z|z.*x"):
        compared(product(), product(names=("z", "y")), given)
    with pytest.raises(UsageError, match=r"A answers y.* B z; outputs are matched by name"):
        compared(product(), product(names=("x", "z")), given)


@pytest.mark.parametrize("samples", [1, 2, 3, 20])
def test_a_fixed_batch_is_fed_in_pieces(samples):
    given = {"x": X[:samples]}
    assert compared(product(batch=3), product(batch=2), given).passed
    result = compared(product(batch=3), product(2.5, batch=2), given)
    assert not result.passed
    assert result.samples == samples


def test_a_size_that_one_leaves_free_is_the_others():
    free = product(shape=("m",))
    assert compared(free, product(shape=(5,))).passed
    assert compared(product(shape=(5,)), free).passed


@pytest.mark.parametrize("shape", [(4,), (3, 1)])
def test_another_shape_is_refused(shape):
    with pytest.raises(UsageError, match=r"^B: .*x float32"):
        compared(product(), product(shape=shape))


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("labels", ("a", "b", "c"), ("b", "c", "a")),
        ("decision", "argmax", "value"),
        (
            "preprocessing",
            {"x": [{"step": "scale", "factor": 2.0}]},
            {"x": [{"step": "scale", "factor": 3.0}]},
        ),
        ("postprocessing", [], [{"step": "softmax"}]),
    ],
)
def test_files_that_mean_something_else_differ(field, one, other):
    pair = [product(manifest=told(**{field: value})) for value in (one, other)]
    result = compared(*pair, {"x": X})
    assert not result.passed
    (reason,) = result.reasons
    assert reason.startswith(f"{field}: A has ")
    assert result.manifests == (reason,)
    assert compared(pair[0], pair[0], {"x": X}).passed


def test_a_file_without_a_manifest_contradicts_nothing():
    silent = product()
    assert compared(product(manifest=told(labels=("a", "b", "c"))), silent, {"x": X}).passed


def image(manifest_steps, axes):
    """An identity on images of shape 2, 3, 4 turned by `axes`, flattened as channels come first."""
    shape = [int(np.array([2, 3, 4])[axis]) for axis in axes]
    back = [0, *(int(axis) + 1 for axis in np.argsort(axes))]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["x"], ["t"], perm=back),
            helper.make_node("Flatten", ["t"], ["y"]),
        ],
        "g",
        [value("x", TensorProto.FLOAT, ["n", *shape])],
        [value("y", TensorProto.FLOAT, ["n", 24])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entry = model.metadata_props.add()
    entry.key, entry.value = (
        ONNX_KEY,
        Manifest(
            "m",
            "torch",
            "onnx",
            "fp32",
            (Tensor("x", (None, *shape), "float32"),),
            (Tensor("y", (None, 24), "float32"),),
            preprocessing={"x": manifest_steps},
        ).to_json(),
    )
    return source(model.SerializeToString(), "onnx")


@pytest.mark.parametrize("turned_first", [False, True])
def test_another_layout_that_the_manifest_tells_is_no_difference(turned_first):
    plain = image([], (0, 1, 2))
    turned = image([{"step": "transpose", "axes": [1, 2, 0]}], (1, 2, 0))
    pair = (turned, plain) if turned_first else (plain, turned)
    assert compared(*pair).passed


@pytest.mark.parametrize(
    ("factor", "precision", "passed"),
    [
        (2.0001, "fp32", True),
        (2.002, "fp32", False),
        (2.002, "fp16", True),
        (2.1, "fp16", False),
        (2.1, "int8", True),
        (3.5, "int8", False),
    ],
)
def test_limits_are_those_of_the_precision(factor, precision, passed):
    given = {"x": X}
    assert compared(product(), product(factor), given, precision=precision).passed is passed
    known = product(factor, manifest=told(precision=precision))
    result = compared(product(), known, given)
    assert (result.precision, result.passed) == (precision, passed)


@pytest.mark.parametrize(("precision", "hinted"), [("int8", True), ("fp32", False)])
@pytest.mark.parametrize("given", [None, {"x": X}])
def test_inputs_that_were_made_up_may_be_beyond_calibration(precision, hinted, given):
    result = compared(product(), product(9.0), given, precision=precision)
    assert ("--samples" in result.lines()[-1]) is (hinted and given is None)


def test_a_persons_own_agreement_counts():
    one = product(manifest=told(decision="argmax"))
    other = product(np.float32([2, 1.2, 3]), manifest=told(decision="argmax", precision="int8"))
    kept = compared(one, other, {"x": X}).comparison.kept
    assert 0.5 < kept < 0.95
    assert not compared(one, other, {"x": X}).passed
    assert compared(one, other, {"x": X}, min_agreement=kept).passed
    assert not compared(one, other, {"x": X}, min_agreement=kept + 0.01).passed


def test_a_reference_that_proves_nothing_is_refused():
    with pytest.raises(CheckError, match=r"^A: reference output 'y' is zero everywhere"):
        compared(product(0.0), product(0.0), {"x": X})


@pytest.mark.parametrize("side", ["A", "B"])
def test_a_damaged_file_is_refused_by_its_side(side):
    pair = [product(), source(b"no model at all", "onnx")]
    with pytest.raises(UsageError, match=f"^{side}: ") as error:
        compared(*(pair if side == "B" else pair[::-1]), {"x": X})
    assert "/tmp" not in str(error.value)


def test_unknown_precisions_are_refused():
    with pytest.raises(UsageError, match=r"no gate for precision 'int4'"):
        compared(product(), product(), {"x": X}, precision="int4")


def test_a_crash_is_told_by_its_side(tmp_path):
    class Dead(Here):
        def submit(self, function, *args, log):
            future = super().submit(function, *args, log=log)
            if log.name.endswith("b.log"):
                future = super().submit(crash, log=log)
            return future

    def crash():
        raise HostError("killed by SIGSEGV", detail="last line")

    with pytest.raises(HostError, match=r"^B: killed by SIGSEGV") as error:
        compare_pair(product(), product(), {"x": X}, Dead(), tmp_path)
    assert error.value.detail == "last line"


def test_a_torch_function_is_compared_with_a_file(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return {'y': 2 * x}\n"
        "def net():\n"
        "    return Net()\n"
    )
    model = ModelSource("function", "torch", {}, function=f"{path}:net")
    with ChildProcesses() as children:  # what it takes, only the file says
        result = compare_pair(model, product(), None, children, tmp_path)
    assert result.passed
    assert result.made_up
    assert result.runtimes[0] == "torch"


def test_two_functions_need_samples():
    model = ModelSource("function", "torch", {}, function="net.py:net")
    with pytest.raises(UsageError, match=r"neither model says what it takes; .*--samples"):
        compared(model, model)
