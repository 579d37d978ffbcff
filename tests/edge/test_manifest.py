import json
import string
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import manifest as manifests
from edge.errors import ModelError
from edge.manifest import Manifest
from edge.manifest_tflite import append_to_tflite, read_from_tflite
from edge.tensor import DTYPES, Tensor, align

FLATBUFFER = b"\x1c\0\0\0TFL3" + bytes(range(200))

names = st.text(min_size=1, max_size=12)
shapes = st.lists(st.none() | st.integers(1, 9), max_size=4).map(tuple)
quantizations = st.tuples(st.floats(1e-30, 1e30), st.integers(-(2**15), 2**15 - 1))
tensors = st.builds(Tensor, name=names, shape=shapes, dtype=st.sampled_from(DTYPES)) | st.builds(
    Tensor, name=names, shape=shapes, dtype=st.just("float32"), quantization=quantizations
)
several = st.lists(tensors, min_size=1, max_size=3, unique_by=lambda t: t.name).map(tuple)
numbers = st.floats(-1e30, 1e30)
step_lists = st.lists(
    st.builds(lambda f, o: {"step": "scale", "factor": f, "offset": o}, numbers, numbers)
    | st.builds(lambda s: {"step": "reshape", "shape": tuple(s)}, st.lists(st.integers(1, 9))),
    max_size=3,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
extras = st.dictionaries(
    st.text(string.ascii_lowercase, min_size=1).map(lambda key: f"x_{key}"), json_values, max_size=3
)


@st.composite
def any_manifest(draw):
    inputs = draw(several)
    return Manifest(
        name=draw(names),
        framework=draw(names),
        target=draw(names),
        precision=draw(names),
        inputs=inputs,
        outputs=draw(several),
        preprocessing={t.name: draw(step_lists) for t in inputs if draw(st.booleans())},
        decision="value",
        labels=draw(st.none() | st.lists(st.text(), max_size=4).map(tuple)),
        postprocessing=draw(step_lists),
        extra=draw(extras),
    )


@given(any_manifest())
def test_round_trips(manifest):
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert Manifest.from_json(manifest.to_json().encode()) == manifest
    assert read_from_tflite(append_to_tflite(FLATBUFFER, manifest)) == manifest


@given(any_manifest(), st.binary(max_size=300))
def test_appending_keeps_the_model_and_is_deterministic(manifest, weights):
    model = b"\x1c\0\0\0TFL3" + weights
    once = append_to_tflite(model, manifest)
    assert once.startswith(model)
    assert append_to_tflite(model, manifest) == once
    assert append_to_tflite(once, manifest) == once


def test_the_format_is_pinned(describe):
    manifest = describe(
        preprocessing={"value": [{"step": "scale", "factor": 0.5}]},
        decision="sign",
        labels=("nø", "yes"),
        extra={"made": {"by": "me"}},
    )
    assert json.loads(manifest.to_json()) == {
        "format": 1,
        "name": "double",
        "framework": "torch",
        "target": "tflite",
        "precision": "fp32",
        "inputs": [{"name": "value", "shape": [None, 1], "dtype": "float32"}],
        "outputs": [{"name": "twice", "shape": [None, 1], "dtype": "float32"}],
        "preprocessing": {"value": [{"step": "scale", "factor": 0.5}]},
        "decision": "sign",
        "labels": ["nø", "yes"],
        "made": {"by": "me"},
    }
    assert manifest.to_json().isascii()


def test_postprocessing_is_written_only_where_there_is_some(describe):
    steps = [{"step": "softmax"}, {"step": "top_k", "k": 3}]
    assert "postprocessing" not in json.loads(describe().to_json())
    assert json.loads(describe(postprocessing=steps).to_json())["postprocessing"] == steps


def test_the_shortest_manifest():
    text = json.dumps(
        {
            "format": 1,
            "name": "n",
            "framework": "f",
            "target": "t",
            "precision": "p",
            "inputs": [{"name": "x", "shape": [], "dtype": "int8"}],
            "outputs": [{"name": "y", "shape": [None], "dtype": "bool"}],
        }
    )
    manifest = Manifest.from_json(text)
    assert (manifest.preprocessing, manifest.decision, manifest.labels) == ({}, "value", None)


def changed(describe, **changes):
    value = json.loads(describe().to_json())
    value.update(changes)
    return json.dumps({key: item for key, item in value.items() if item != "DROP"})


TENSOR = {"name": "x", "shape": [None, 3], "dtype": "float32"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format 2 is newer than 1.*\nupdate edge"),
        ({"format": "1"}, "format: expected a number"),
        ({"format": True}, "format: expected a number"),
        ({"format": "DROP"}, "format: expected a number"),
        ({"name": "DROP"}, "name: is missing"),
        ({"name": ""}, "name: expected text"),
        ({"precision": 8}, "precision: expected text, got 8"),
        ({"inputs": []}, "inputs: is empty"),
        ({"inputs": {}}, "inputs: expected a list"),
        ({"inputs": [1]}, r"inputs\[0\]: expected an object"),
        ({"inputs": [{"name": "x"}]}, r"inputs\[0\]: expected an object with name, shape"),
        ({"inputs": [{**TENSOR, "shape": [0]}]}, r"inputs\[0\].shape: expected sizes"),
        ({"inputs": [{**TENSOR, "shape": [True]}]}, r"inputs\[0\].shape: expected sizes"),
        ({"inputs": [{**TENSOR, "dtype": "float"}]}, r"inputs\[0\].dtype: 'float' is not"),
        ({"inputs": [{**TENSOR, "dtype": []}]}, r"inputs\[0\].dtype"),
        ({"outputs": [TENSOR, TENSOR]}, "outputs: two have the same name"),
        ({"preprocessing": []}, "preprocessing: expected an object"),
        ({"preprocessing": {"image": []}}, "'image' is not an input; inputs: value"),
        ({"preprocessing": {"value": [{"step": "scal"}]}}, "preprocessing.value: step 0.*scale"),
        ({"postprocessing": {}}, "postprocessing: expected a list of steps"),
        ({"postprocessing": None}, "postprocessing: expected a list of steps"),
        ({"postprocessing": [{"step": "soft_max"}]}, "postprocessing: step 0.*softmax"),
        ({"decision": "max"}, "decision: 'max' is not one of argmax, sign, value"),
        ({"decision": []}, r"decision: \[\]"),
        ({"labels": "ab"}, "labels: expected a list"),
        ({"labels": [1]}, "labels: expected a list"),
        ({"labels": ["a"], "decision": "sign"}, "labels: 1 labels for 2 answers"),
        ({"labels": ["a"], "decision": "argmax", "outputs": [TENSOR]}, "1 labels for 3 answers"),
    ],
)
def test_a_wrong_field_is_named(describe, changes, words):
    with pytest.raises(ModelError, match=f"(?s)manifest: .*{words}|{words}"):
        Manifest.from_json(changed(describe, **changes))


@pytest.mark.parametrize("text", ["", "{", "[]", "1", b"\xff\xfe\xff", "[" * 100_000])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(ModelError, match="manifest: "):
        Manifest.from_json(text)


def test_a_manifest_made_by_hand_is_checked_too(describe):
    with pytest.raises(ModelError, match=r"inputs\[0\].shape"):
        describe(inputs=(Tensor("x", (-1, 1), "float32"),))
    with pytest.raises(ModelError, match="extra: 'labels' is a field"):
        describe(extra={"labels": []})
    with pytest.raises(ModelError, match="extra: not JSON"):
        describe(extra={"a": float("nan")})
    with pytest.raises(ModelError, match="extra: not JSON"):
        describe(extra={"a": object()})


def test_only_tflite_files_take_a_manifest(describe):
    with pytest.raises(ModelError, match="not a TFLite model"):
        append_to_tflite(b"\x08\x08 onnx", describe())


def test_a_manifest_is_replaced_and_other_files_stay(describe, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(FLATBUFFER)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "a\nb\n")
    both = append_to_tflite(append_to_tflite(path.read_bytes(), describe()), describe(name="new"))
    path.write_bytes(both)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["labels.txt", "manifest.json"]
        assert archive.read("labels.txt") == b"a\nb\n"
        assert archive.testzip() is None
    assert read_from_tflite(both).name == "new"
    assert both.startswith(FLATBUFFER)


def test_a_file_without_a_manifest(tmp_path):
    assert read_from_tflite(FLATBUFFER) is None
    assert read_from_tflite(b"") is None
    path = tmp_path / "m.tflite"
    path.write_bytes(FLATBUFFER)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "a")
    assert read_from_tflite(path.read_bytes()) is None


def test_every_cut_of_a_manifest_is_noticed(describe):
    whole = append_to_tflite(FLATBUFFER, describe())
    name_ends = whole.index(b"manifest.json") + len(b"manifest.json")
    for end in range(name_ends, len(whole)):
        with pytest.raises(ModelError, match="manifest: "):
            read_from_tflite(whole[:end])


def test_a_changed_manifest_is_noticed(describe):
    whole = append_to_tflite(FLATBUFFER, describe())
    with pytest.raises(ModelError, match="damaged"):
        read_from_tflite(whole.replace(b'"fp32"', b'"fp16"'))


def test_a_huge_manifest_is_refused(describe, tmp_path, monkeypatch):
    path = tmp_path / "m.tflite"
    path.write_bytes(FLATBUFFER)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", bytes(manifests.LIMIT + 1))
    with pytest.raises(ModelError, match="over the limit"):
        read_from_tflite(path.read_bytes())
    with pytest.raises(ModelError, match="over the limit"):
        Manifest.from_json(" " * (manifests.LIMIT + 1))


def test_what_no_one_would_read_is_not_written(describe):
    step = {"step": "tokenise", "length": 1, "unknown": 0, "padding": 0}

    def of(count):
        words = [f"слово{index}" for index in range(count)]
        return describe(preprocessing={"value": [{**step, "vocabulary": words}]})

    many = of(10_000)
    assert read_from_tflite(append_to_tflite(FLATBUFFER, many)) == many
    with pytest.raises(
        ModelError, match=r"over the limit of 1048576\n.*the vocabulary of a tokenise"
    ):
        append_to_tflite(FLATBUFFER, of(30_000))


def two(*names, shapes=((None, 1), (None, 2))):
    return [Tensor(name, shape, "float32") for name, shape in zip(names, shapes, strict=True)]


def test_damage_in_the_place_of_the_archive_is_an_error_like_any_other(describe):
    """zipfile raises a ValueError of its own for a file that begins before its own beginning."""
    data = bytearray(append_to_tflite(FLATBUFFER, describe()))
    data[-6:-2] = (0xFFFFFF).to_bytes(4, "little")
    with pytest.raises(ModelError, match=r"damaged .*; copy the file again"):
        read_from_tflite(bytes(data))


def test_a_manifest_compressed_by_what_allocates_at_will_is_refused(describe, tmp_path):
    path = tmp_path / "lzma.tflite"
    path.write_bytes(FLATBUFFER)
    for method, words in ((zipfile.ZIP_LZMA, "compressed by method 14"), (8, "")):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("manifest.json", describe().to_json())
        if words:
            with pytest.raises(ModelError, match=words):
                read_from_tflite(path.read_bytes())
    assert read_from_tflite(path.read_bytes()) == describe()


@pytest.mark.parametrize("depth", [99, 300, 900])
@pytest.mark.parametrize("place", ["extra", "inputs"])
def test_deep_nesting_is_an_error_and_not_a_question_of_the_stack(describe, place, depth):
    text = describe(extra={"x_deep": "DEEP"}).to_json()
    deep = '{"a":' * depth + "0" + "}" * depth
    text = text.replace('"float32"' if place == "inputs" else '"DEEP"', deep)
    with pytest.raises(ModelError) as raised:
        Manifest.from_json(text).to_json()
    assert len(str(raised.value)) < 1000
    nested = {}
    for _ in range(depth):
        nested = {"a": nested}
    with pytest.raises(ModelError, match="nested more than 98 times"):
        describe(extra={"x_deep": nested})


@pytest.mark.parametrize("name", ["decision", "labels", "framework", "preprocessing"])
def test_a_message_does_not_repeat_all_of_what_is_wrong(describe, name):
    value = json.loads(describe().to_json())
    value[name] = [1, "x" * 100_000]
    with pytest.raises(ModelError, match=name) as raised:
        Manifest.from_json(json.dumps(value))
    assert len(str(raised.value)) < 1000


def test_align():
    found = two("a", "b")
    assert align(found, two("b", "a", shapes=((None, 2), (None, 1))), "inputs") == [1, 0]
    assert align(found, two("x", "y"), "inputs") == [0, 1]
    assert align(found, two("x", "y", shapes=((4, 1), (None, None))), "inputs") == [0, 1]
    with pytest.raises(ModelError, match=r"inputs: the manifest says x float32\[n, 2\]"):
        align(found, two("x", "y", shapes=((None, 2), (None, 1))), "inputs")
    with pytest.raises(ModelError, match="describes 1 tensors, the model has 2"):
        align(found, found[:1], "inputs")
    with pytest.raises(ModelError, match="share only the names b"):
        align(two("b", "c", shapes=((None, 1), (None, 1))), two("a", "b"), "inputs")
    with pytest.raises(ModelError, match="int8"):
        align(found, [found[0], Tensor("b", (None, 2), "int8")], "inputs")
