"""A small net as numpy, as an ONNX file and as a TFLite file.

What it computes: x [n, 4, 4, 2], less a mean, through one hidden layer to ten logits or to four
box sides in pixels and a score. A fault is a change of its numbers, so that both kinds of file have
the very same one.
"""

from dataclasses import dataclass, replace

import numpy as np

from edge.manifest import Manifest
from edge.manifest_tflite import append_to_tflite
from edge.tensor import Tensor

SHAPE = (4, 4, 2)
LABELS = tuple("abcdefghij")
MEAN, STD = 0.6, 0.25


@dataclass(frozen=True)
class Net:
    """Weights, and what a fault may change about their use."""

    hidden: np.ndarray
    bias: np.ndarray
    last: np.ndarray
    last_bias: np.ndarray
    mean: float = MEAN
    axes: tuple = (0, 1, 2)
    step: float = 0.0  # of one scale that all outputs share; 0 for none

    def __call__(self, x):
        flat = x.transpose(0, *(axis + 1 for axis in self.axes)).reshape(len(x), -1)
        hidden = np.maximum((flat - self.mean) / STD @ self.hidden + self.bias, 0)
        y = hidden @ self.last + self.last_bias
        return np.round(y / self.step) * self.step if self.step else y


def classifier(seed=0):
    random = np.random.default_rng(seed)
    return Net(
        random.normal(0, 0.4, (32, 24)).astype(np.float32),
        random.normal(0, 1, 24).astype(np.float32),
        random.normal(0, 0.6, (24, 10)).astype(np.float32),
        random.normal(0, 2.5, 10).astype(np.float32),
    )


def detector(seed=1):
    """Four sides of hundreds of pixels, and a score that varies by tenths."""
    net, sizes = classifier(seed), np.float32([60, 60, 60, 60, 0.05])
    return replace(net, last=net.last[:, :5] * sizes, last_bias=np.float32([9, 9, 200, 200, 0.5]))


def planted(net):
    """The net with each fault."""
    other = classifier(7) if net.last.shape[1] == 10 else detector(7)
    return {
        "sound": net,
        "dropped bias": replace(net, last_bias=0 * net.last_bias),
        "swapped layout": replace(net, axes=(2, 0, 1)),
        "wrong normalisation": replace(net, mean=0.0),
        "other weights": other,
        "permuted outputs": replace(
            net, last=np.roll(net.last, 1, 1), last_bias=np.roll(net.last_bias, 1)
        ),
        "shared scale": replace(net, step=float(np.abs(net(SAMPLES)).max()) / 127),
    }


def manifest(net, target, labels=LABELS):
    columns = net.last.shape[1]
    return Manifest(
        "net",
        "tf",
        target,
        "fp32",
        (Tensor("x", (None, *SHAPE), "float32"),),
        (Tensor("y", (None, columns), "float32"),),
        decision="argmax" if columns == 10 else "value",
        labels=labels if columns == 10 else None,
    )


def samples(count=200, seed=3):
    return np.random.default_rng(seed).normal(MEAN, STD, (count, *SHAPE)).astype(np.float32)


SAMPLES = samples()


def to_onnx(net, labels=LABELS):
    """With the manifest inside."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from edge.manifest import ONNX_KEY

    weights = {
        "mean": np.float32(net.mean),
        "std": np.float32(STD),
        "hidden": net.hidden,
        "bias": net.bias,
        "last": net.last.astype(np.float32),
        "last_bias": net.last_bias,
        "flat": np.int64([-1, 32]),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, *(a + 1 for a in net.axes)]),
        helper.make_node("Reshape", ["t", "flat"], ["f"]),
        helper.make_node("Sub", ["f", "mean"], ["c"]),
        helper.make_node("Div", ["c", "std"], ["s"]),
        helper.make_node("Gemm", ["s", "hidden", "bias"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "last", "last_bias"], ["g" if net.step else "y"]),
    ]
    if net.step:
        weights["step"] = np.float32(net.step)
        nodes += [
            helper.make_node("Div", ["g", "step"], ["d"]),
            helper.make_node("Round", ["d"], ["o"]),
            helper.make_node("Mul", ["o", "step"], ["y"]),
        ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "net",
        [value("x", TensorProto.FLOAT, ["n", *SHAPE])],
        [value("y", TensorProto.FLOAT, ["n", net.last.shape[1]])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = ONNX_KEY, manifest(net, "onnx", labels).to_json()
    return model.SerializeToString()


def to_tflite(net, labels=LABELS):
    """With the manifest inside; written operator by operator, as no converter is under test."""
    from toolkit.export.quantise_flatbuffer import pack

    writer, columns = _Writer(), net.last.shape[1]
    x = writer.tensor("x", (1, *SHAPE))
    order = writer.constant("order", np.int32([0, *(axis + 1 for axis in net.axes)]))
    t = writer.run("TRANSPOSE", [x, order], "t", [1, *(SHAPE[axis] for axis in net.axes)])
    f = writer.run("RESHAPE", [t, writer.constant("flat", np.int32([-1, 32]))], "f", [1, 32])
    c = writer.run("SUB", [f, writer.constant("mean", np.float32(net.mean))], "c", [1, 32])
    s = writer.run("MUL", [c, writer.constant("by", np.float32(1 / STD))], "s", [1, 32])
    weights = [writer.constant("hidden", net.hidden.T), writer.constant("bias", net.bias)]
    r = writer.run("FULLY_CONNECTED", [s, *weights], "r", [1, 24], fusedActivationFunction=1)
    weights = [
        writer.constant("last", net.last.T),
        writer.constant("last_bias", net.last_bias),
    ]
    y = writer.run("FULLY_CONNECTED", [r, *weights], "g" if net.step else "y", [1, columns])
    if net.step:
        step = np.float32(net.step)
        d = writer.run("MUL", [y, writer.constant("steps", 1 / step)], "d", [1, columns])
        o = writer.run("ROUND", [d], "o", [1, columns])
        y = writer.run("MUL", [o, writer.constant("step", step)], "y", [1, columns])
    return append_to_tflite(pack(writer.model(x, y)), manifest(net, "tflite", labels))


class _Writer:
    """A TFLite model in the making; tensors are numbers."""

    def __init__(self):
        from ai_edge_litert import schema_py_generated

        self.schema = schema_py_generated
        self.buffers, self.tensors, self.operators, self.codes = [self.schema.BufferT()], [], [], []

    def tensor(self, name, shape, dtype="FLOAT32", data=None):
        made = self.schema.TensorT()
        made.name, made.shape, made.hasRank = name, list(shape), True
        made.type, made.buffer = getattr(self.schema.TensorType, dtype), 0
        if data is None:
            made.shapeSignature = [-1, *shape[1:]]
        else:
            made.buffer = len(self.buffers)
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            self.buffers.append(buffer)
        self.tensors.append(made)
        return len(self.tensors) - 1

    def constant(self, name, array):
        array = np.asarray(array, np.int32 if array.dtype.kind == "i" else np.float32)
        return self.tensor(name, array.shape, array.dtype.name.upper(), array.tobytes())

    def run(self, operator, inputs, name, shape, **options):
        code = getattr(self.schema.BuiltinOperator, operator)
        if code not in self.codes:
            self.codes.append(code)
        made = self.schema.OperatorT()
        made.opcodeIndex, made.inputs = self.codes.index(code), inputs
        made.outputs = [self.tensor(name, shape)]
        kind = "".join(part.title() for part in operator.split("_")) + "Options"
        if hasattr(self.schema, f"{kind}T"):
            made.builtinOptionsType = getattr(self.schema.BuiltinOptions, kind)
            made.builtinOptions = getattr(self.schema, f"{kind}T")()
            vars(made.builtinOptions).update(options)
        self.operators.append(made)
        return made.outputs[0]

    def model(self, x, y):
        schema = self.schema
        graph, model, signature = schema.SubGraphT(), schema.ModelT(), schema.SignatureDefT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = [x], [y]
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs, signature.outputs = [schema.TensorMapT()], [schema.TensorMapT()]
        for entry, index in ((signature.inputs[0], x), (signature.outputs[0], y)):
            entry.name, entry.tensorIndex = self.tensors[index].name, index
        model.version, model.subgraphs, model.signatureDefs = 3, [graph], [signature]
        model.buffers = self.buffers
        for code in self.codes:
            made = schema.OperatorCodeT()
            made.builtinCode, made.deprecatedBuiltinCode, made.version = code, min(code, 127), 1
            model.operatorCodes = [*(model.operatorCodes or []), made]
        return model
