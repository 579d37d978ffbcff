"""The Open Inference Protocol over gRPC: Triton's own client against a started server."""

import signal
import socket
import time

import numpy as np
import pytest

from tests.conftest import run_toolkit
from tests.serve import tiny
from tests.serve.running import SIDE, Running, bundle, expected
from tests.serve.soak_server import until

grpc = pytest.importorskip("grpc")
triton = pytest.importorskip("tritonclient.grpc")
from tritonclient.grpc import service_pb2 as pb  # noqa: E402 - after the skip
from tritonclient.grpc import service_pb2_grpc  # noqa: E402
from tritonclient.utils import InferenceServerException  # noqa: E402

IMAGES = np.random.default_rng(1).integers(0, 256, (5, SIDE, SIDE, 1)).astype(np.uint8)
NAMES = ("text", "two", "flag", "same_float16", "same_int8", "same_float64")
TOKEN = {"authorization": "Bearer sesame"}
CODES = grpc.StatusCode


def grpc_port(running):
    return next(row["grpc_port"] for row in running.log if row["event"] == "serving")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grpc")
    paths = [bundle(folder / "shades.edge"), *(tiny.write(folder, name) for name in NAMES)]
    flags = ["--allow-unverified", "--grpc-port", "0", "--max-body", "1"]
    with Running(*paths, *flags, TOOLKIT_TOKEN="sesame") as running:
        assert running.port, running.text
        yield running
        assert running.end() == 0
        assert "Traceback" not in running.text


@pytest.fixture(scope="module")
def client(server):
    with triton.InferenceServerClient(f"127.0.0.1:{grpc_port(server)}") as client:
        yield client


@pytest.fixture(scope="module")
def stub(server):
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port(server)}", options) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def asked(name, array):
    datatype = {"|O": "BYTES", "|u1": "UINT8", "|b1": "BOOL", "<f2": "FP16", "<f4": "FP32"}
    datatype |= {"<i8": "INT64"}
    tensor = triton.InferInput(name, array.shape, datatype[array.dtype.str])
    tensor.set_data_from_numpy(array)
    return tensor


def request(model, *inputs, raw=(), **more):
    """A message of rows (name, datatype, shape, contents)."""
    made = pb.ModelInferRequest(model_name=model, raw_input_contents=raw, **more)
    for name, datatype, shape, contents in inputs:
        made.inputs.add(name=name, datatype=datatype, shape=shape, contents=contents)
    return made


def test_health_and_metadata(client):
    assert client.is_server_live()  # as probes, without a token
    assert client.is_server_ready()
    assert client.is_model_ready("shades", headers=TOKEN)
    assert client.is_model_ready("shades", "1", headers=TOKEN)
    assert "binary_tensor_data" in client.get_server_metadata(TOKEN).extensions
    metadata = client.get_model_metadata("shades", headers=TOKEN)
    assert (metadata.name, list(metadata.versions)) == ("shades", ["1"])
    (given,) = metadata.outputs
    assert (given.name, given.datatype, list(given.shape)) == ("logits", "FP32", [-1, 2])


def test_raw_contents_in_and_out(client):
    answer = client.infer("shades", [asked("image", IMAGES)], request_id="7", headers=TOKEN)
    np.testing.assert_allclose(answer.as_numpy("logits"), expected(IMAGES), atol=1e-6)
    got = answer.get_response()
    assert (got.id, got.model_name, got.model_version) == ("7", "shades", "1")
    assert [output.name for output in got.outputs] == ["logits"]
    halves = np.array([[0.5, 1, -2]], np.float16)
    answer = client.infer("same_float16", [asked("x", halves)], headers=TOKEN)
    np.testing.assert_array_equal(answer.as_numpy("y"), halves)


def test_classes_and_chosen_outputs(client):
    outputs = [triton.InferRequestedOutput("logits", class_count=1)]
    answer = client.infer("shades", [asked("image", IMAGES)], outputs=outputs, headers=TOKEN)
    labels = [row[0].decode().split(":")[2] for row in answer.as_numpy("logits")]
    assert labels == [["dark", "bright"][place] for place in expected(IMAGES).argmax(1)]
    inputs = [asked("a", np.ones((3, 2), np.float32)), asked("b", np.full((3, 1), 4, np.int64))]
    outputs = [triton.InferRequestedOutput(name) for name in ("twice", "total")]
    answer = client.infer("two", inputs, outputs=outputs, headers=TOKEN)
    assert [output.name for output in answer.get_response().outputs] == ["twice", "total"]
    np.testing.assert_array_equal(answer.as_numpy("twice"), np.full((3, 1), 8))
    np.testing.assert_array_equal(answer.as_numpy("total"), np.full((3, 2), 5))


def test_texts(client, stub):
    texts = np.array(["a b ö", "b"], np.object_)
    answer = client.infer("text", [asked("text", texts)], headers=TOKEN)
    np.testing.assert_array_equal(answer.as_numpy("sum"), [[6], [2]])
    typed = request("text", ("text", "BYTES", [1], {"bytes_contents": [b"b b"]}))
    answer = stub.ModelInfer(typed, metadata=[*TOKEN.items()])
    assert np.frombuffer(answer.raw_output_contents[0], np.float32) == [4]


@pytest.mark.parametrize(
    ("model", "name", "datatype", "field", "values"),
    [
        ("flag", "on", "BOOL", "bool_contents", [True, False]),
        ("same_int8", "x", "INT8", "int_contents", [-128, 0, 127]),
        ("same_float64", "x", "FP64", "fp64_contents", [1e300, float("nan"), float("-inf")]),
    ],
)
def test_typed_contents(stub, model, name, datatype, field, values):
    typed = request(model, (name, datatype, [1, len(values)], {field: values}))
    answer = stub.ModelInfer(typed, metadata=[*TOKEN.items()])
    dtype = {"FP32": "f4", "INT8": "i1", "FP64": "f8"}[answer.outputs[0].datatype]
    np.testing.assert_array_equal(np.frombuffer(answer.raw_output_contents[0], dtype), values)


RAW = IMAGES[:1].tobytes()
GOOD = ("image", "UINT8", [1, SIDE, SIDE, 1], None)
BAD = {
    "no such model": (request("none", GOOD, raw=[RAW]), CODES.NOT_FOUND, "none"),
    "a path": (request("shades/versions/1", GOOD, raw=[RAW]), CODES.NOT_FOUND, "without /"),
    "a version": (request("shades", GOOD, raw=[RAW], model_version="9"), CODES.NOT_FOUND, "9"),
    "a word": (request("shades", GOOD, raw=[RAW], model_version="x"), CODES.NOT_FOUND, "numbers"),
    "nothing": (request("shades"), CODES.INVALID_ARGUMENT, "inputs: expected a list"),
    "name": (request("shades", ("imag", *GOOD[1:]), raw=[RAW]), CODES.INVALID_ARGUMENT, "mean"),
    "shape": (
        request("shades", ("image", "UINT8", [1, 3], None), raw=[RAW]),
        CODES.INVALID_ARGUMENT,
        "expected shape [n, 4, 4, 1]",
    ),
    "datatype": (
        request("shades", ("image", "WORDS", [1, SIDE, SIDE, 1], None), raw=[RAW]),
        CODES.INVALID_ARGUMENT,
        "expected datatype UINT8",
    ),
    "cut off": (request("shades", GOOD, raw=[RAW[:-1]]), CODES.INVALID_ARGUMENT, "got 15"),
    "too many": (request("shades", GOOD, raw=[RAW, RAW]), CODES.INVALID_ARGUMENT, "got 2"),
    "both": (
        request("shades", (*GOOD[:3], {"uint_contents": [1]}), raw=[RAW]),
        CODES.INVALID_ARGUMENT,
        "got both",
    ),
    "wrong field": (
        request("shades", (*GOOD[:3], {"fp32_contents": [1]})),
        CODES.INVALID_ARGUMENT,
        "contents.uint_contents",
    ),
    "halves": (
        request("same_float16", ("x", "FP16", [1, 3], {"fp32_contents": [1, 2, 3]})),
        CODES.INVALID_ARGUMENT,
        "raw_input_contents",
    ),
    "range": (
        request("same_int8", ("x", "INT8", [1, 3], {"int_contents": [0, 300, 0]})),
        CODES.INVALID_ARGUMENT,
        "300, out of the range -128 to 127",
    ),
    "UTF-8": (
        request("text", ("text", "BYTES", [1], {"bytes_contents": [b"\xff"]})),
        CODES.INVALID_ARGUMENT,
        "UTF-8",
    ),
    "memory": (
        request("shades", GOOD, parameters={"preprocessed": pb.InferParameter(int64_param=1)}),
        CODES.INVALID_ARGUMENT,
        "contents.uint_contents",
    ),
    "over the limit": (
        request("shades", GOOD, raw=[bytes(1 << 20)]),
        CODES.RESOURCE_EXHAUSTED,
        "limit of 1048576 bytes",
    ),
    "far over it": (request("shades", GOOD, raw=[bytes(3 << 20)]), CODES.RESOURCE_EXHAUSTED, ""),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_told(stub, case):
    asked, code, words = BAD[case]
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(asked, metadata=[*TOKEN.items()], timeout=30)
    assert caught.value.code() == code
    assert words in caught.value.details()
    assert "/tmp" not in caught.value.details()


def test_a_token_is_needed_and_other_methods_are_not_offered(client, stub):
    for headers in ({}, {"authorization": "Bearer other"}):
        with pytest.raises(InferenceServerException, match="token") as caught:
            client.infer("shades", [asked("image", IMAGES)], headers=headers)
        assert "UNAUTHENTICATED" in caught.value.status()
    with pytest.raises(grpc.RpcError) as caught:
        stub.RepositoryIndex(pb.RepositoryIndexRequest(), metadata=[*TOKEN.items()])
    assert caught.value.code() == CODES.UNIMPLEMENTED


def test_it_is_counted_and_logged_as_all_others_are(server, stub):
    with pytest.raises(grpc.RpcError):
        stub.ModelInfer(request("shades"), metadata=[*TOKEN.items(), ("x-request-id", "r-1")])
    until(lambda: any(row.get("id") == "r-1" for row in server.log), 10)
    (row,) = (row for row in server.log if row.get("id") == "r-1")
    assert (row["status"], row["path"], row["client"]) == (
        400,
        "/v2/models/shades/infer",
        "127.0.0.1",
    )
    text = server.get("/metrics", Authorization="Bearer sesame")[1].decode()
    assert 'toolkit_request_errors_total{model="shades",status="400"}' in text
    assert 'toolkit_request_seconds_count{model="shades",protocol="infer",version="1"}' in text


def heavy(folder):
    from tests.serve.soak_models import heavy

    heavy(folder / "heavy.onnx", 2.0)
    return folder / "heavy.onnx"


def test_deadlines_overload_and_an_end_that_loses_no_call(tmp_path):
    """A model of tens of milliseconds a call, one call at a time, three that may wait."""
    flags = ["--allow-unverified", "--grpc-port", "0", "--batch-size", "1", "--queue", "3"]
    with Running(heavy(tmp_path), *flags) as running:
        rows = np.ones((200, 8), np.float32)
        asked_of = request("heavy", ("x", "FP32", rows.shape, None), raw=[rows.tobytes()])
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port(running)}") as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.ModelInfer(asked_of, timeout=0.005)
            assert caught.value.code() == CODES.DEADLINE_EXCEEDED
            many = [stub.ModelInfer.future(asked_of) for _ in range(8)]
            codes = {each.code() for each in many}
            assert codes == {CODES.OK, CODES.RESOURCE_EXHAUSTED}
            last = [stub.ModelInfer.future(asked_of) for _ in range(3)]
            time.sleep(0.05)
            running.process.send_signal(signal.SIGTERM)
            assert [each.code() for each in last] == [CODES.OK] * 3
            assert running.process.wait(30) == 0


def test_the_port_and_ray_are_told_of(tmp_path):
    path = bundle(tmp_path / "shades.edge")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run_toolkit("serve", str(path), "--port", "0", "--grpc-port", port)
    assert done.code == 2
    assert f"--grpc-port {port}" in done.err
    done = run_toolkit("serve", str(path), "--ray", "--grpc-port", "0")
    assert done.code == 2
    assert "--ray" in done.err
