"""C++ for microcontrollers: TensorFlow Lite Micro's interpreter and LiteRT, and the host's g++."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.manifest import Manifest
from edge.manifest_tflite import append_to_tflite
from edge.quantisation import quantise
from edge.tensor import Tensor
from toolkit.errors import ConversionError, DataError
from toolkit.export import micro_compare
from toolkit.export.micro import micro
from toolkit.export.micro_arena import interpreter_of, least_arena
from toolkit.export.micro_compare import MicroComparison, compare_with_litert
from toolkit.export.micro_model import End, read_model
from toolkit.export.micro_ops import METHODS, resolver_methods
from toolkit.export.micro_text import comment, floating, identifier, string
from toolkit.export.quantise import quantise as to_integers
from toolkit.hosts import ChildProcesses

STUB = Path(__file__).parent / "tflm_stub"
EDGE_DATA = Path(__file__).parents[1] / "edge" / "data"


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Content by name of models that TensorFlow converted in a process of its own."""
    folder = tmp_path_factory.mktemp("micro")
    subprocess.run(
        [sys.executable, STUB / "make_models.py", folder], check=True, capture_output=True
    )
    return {path.stem: path.read_bytes() for path in folder.glob("*.tflite")}


@pytest.fixture(scope="session")
def apart(tmp_path_factory):
    """Call a function in a child process, as the stage does."""
    log = tmp_path_factory.mktemp("micro-log") / "log"
    with ChildProcesses(parallel=1, timeout=120) as children:
        yield lambda function, *arguments: children.submit(function, *arguments, log=log).result()


def samples(shape, count=50):
    return np.random.default_rng(7).normal(size=(count, *shape)).astype(np.float32)


@pytest.fixture(scope="session")
def conv(models, apart, tmp_path_factory):
    """The int8 model's files, with labels and preprocessing, in a folder."""
    manifest = Manifest(
        "digits",
        "tf",
        "tflite",
        "int8",
        (Tensor("image", (None, 8, 8, 1), "float32"),),
        (Tensor("output_0", (None, 3), "float32"),),
        preprocessing={"image": [{"step": "scale", "factor": 0.5}]},
        decision="argmax",
        labels=('say "no"??/', "größer\n", "\\"),
    )
    content = append_to_tflite(models["conv"], manifest)
    folder = tmp_path_factory.mktemp("conv")
    for name, text in apart(micro, content, "digits", {"image": samples((8, 8, 1))}).items():
        (folder / name).write_bytes(text)
    return folder


@pytest.fixture(scope="session")
def linear(models, apart, tmp_path_factory):
    folder = tmp_path_factory.mktemp("linear")
    for name, text in apart(micro, models["linear"], "linear", {"x": samples((1,))}).items():
        (folder / name).write_bytes(text)
    return folder


def build(folder, *sources, flags=()):
    """Compile as strictly as a project may; the path of the program."""
    program = folder / f"program{len(list(folder.iterdir()))}"
    strict = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fno-exceptions"]
    done = subprocess.run(
        ["g++", *strict, *flags, f"-I{folder}", f"-I{STUB}", *map(str, sources), "-o", program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return program


def checked(folder, name, *flags):
    sources = [STUB / "check.cc", folder / f"{name}.cc", folder / f"{name}_data.cc"]
    return build(folder, *sources, flags=[f'-DHEADER="{name}.h"', f"-DSPACE={name}", *flags])


def said(program, *words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


# --- the whole ---------------------------------------------------------------------------------


def test_the_files_compile_and_hold_model_and_test_vector(conv, models, apart):
    program = checked(conv, "digits_model", "-DQUANTISED")
    arrays = {name: (aligned, bytes.fromhex(text)) for name, aligned, text in said(program, "data")}
    model = read_model(models["conv"])
    given = model.raw({"image": samples((8, 8, 1))})[0]
    assert arrays["model"] == ("1", model.content)
    assert arrays["input"] == ("1", given[0].tobytes())
    (answer,) = apart(litert_reference, models["conv"], given)
    assert arrays["output"][0] == "1"
    steps = np.frombuffer(arrays["output"][1], np.int8).astype(int) - answer.reshape(-1)
    assert np.abs(steps).max() <= 1
    assert len(set(answer.reshape(-1))) > 1  # a vector that a broken device would not hit


@pytest.mark.parametrize("flags", [(), ("-DTFLM_OLDER",)])
def test_the_self_test_passes_the_right_answer_only(conv, flags):
    program = checked(conv, "digits_model", *flags)
    operators = "9"
    assert said(program, "right") == [["1", "1", "1", operators, "2", "2"]]
    assert said(program, "wrong") == [["1", "0", "1", operators, "2", "2"]]
    assert said(program, "small") == [["1", "0", "0", operators, "0", "2"]]


def test_floats_may_differ_by_a_hair_only(linear):
    program = checked(linear, "linear_model")
    assert said(program, "right") == [["1", "1", "1", "1", "2", "2"]]
    assert said(program, "wrong") == [["1", "0", "1", "1", "2", "2"]]


def test_the_headers_arithmetic_is_that_of_the_edge(conv, models):
    end_in, end_out = read_model(models["conv"]).inputs[0], read_model(models["conv"]).outputs[0]
    scale, zero = end_in.quantization
    values = [*np.linspace(-9, 9, 101), scale * 0.5, scale * 1.5, 1e30, -1e30, np.inf, -np.inf]
    values = np.array(values, np.float32)
    program = checked(conv, "digits_model", "-DQUANTISED")
    integers, floats = said(program, "quantise", *(f"{value:.9g}" for value in values))
    tensor = Tensor("image", (None,), "float32", (scale, zero))
    assert [int(word) for word in integers] == quantise(values, tensor, "int8").tolist()
    expected = (np.arange(-128, 128) - end_out.quantization[1]) * end_out.quantization[0]
    assert np.array_equal(np.array(floats, np.float32), expected.astype(np.float32))
    assert said(program, "quantise", "nan")[0] == ["-128"]


def test_the_example_compiles_without_warnings(conv, linear):
    fake = "namespace fake { Model model = {0, 1u << 30, {}, {}, nullptr};\n"
    fake += "std::size_t operators = 0; int resets = 0; }\n"
    for folder, name in ((conv, "digits_model"), (linear, "linear_model")):
        source = folder / "fake.cc"
        source.write_text('#include "tensorflow/lite/micro/micro_interpreter.h"\n' + fake)
        parts = ("main.cc", f"{name}.cc", f"{name}_data.cc", "fake.cc")
        program = build(folder, *(folder / part for part in parts))
        done = subprocess.run([program], capture_output=True, text=True, check=False)
        assert (done.returncode, "arena" in done.stdout) == (1, True)


def test_the_header_says_what_a_programmer_must_know(conv):
    text = (conv / "digits_model.h").read_text()
    assert '//   {"step": "scale", "factor": 0.5}\n' in text
    assert '// Decision from output "output_0": argmax\n' in text
    assert "constexpr std::int32_t kInput0Shape[4] = {1, 8, 8, 1};" in text
    assert r'"say \"no\"\?\?/",' in text
    assert r'"gr\303\266\303\237er\012",' in text
    assert "#ifndef DIGITS_MODEL_H_\n#define DIGITS_MODEL_H_\n" in text
    glue = (conv / "digits_model.cc").read_text()
    assert "MicroMutableOpResolver<9>" in glue
    assert "resolver->AddDepthwiseConv2D() == kTfLiteOk" in glue
    assert all(word not in glue for word in ("malloc", " new ", "throw"))


def test_two_inputs_and_outputs_are_told_apart(apart, tmp_path):
    content = (EDGE_DATA / "two.tflite").read_bytes()
    values = {"a": np.float32([[1, 2], [9, 9]]), "b": np.float32([[30, 40], [9, 9]])}
    files = apart(micro, content, "two", values)
    for name, text in files.items():
        (tmp_path / name).write_bytes(text)
    header = files["two_model.h"].decode()
    data = files["two_model_data.cc"].decode()
    expected = {"a": [1, 2], "b": [30, 40], "total": [31, 42], "apart": [29, 38]}
    model = read_model(content)
    for side, ends in (("Input", model.inputs), ("Output", model.outputs)):
        for index, end in enumerate(ends):
            assert f'k{side}{index}Name[] = "{end.name}"' in header
            wanted = np.float32(expected.pop(end.name)).tobytes()
            assert listed(data, f"kTest{side}{index}") == wanted
    assert not expected
    for source in ("two_model.cc", "two_model_data.cc"):
        build(tmp_path, tmp_path / source, flags=["-c"])


def listed(text, name):
    """The bytes that the definition of an array lists."""
    body = text.split(f"{name}[")[1].split("{")[1].split("}")[0]
    return bytes(int(code, 16) for code in body.replace(",", " ").split())


def test_the_same_model_gives_the_same_files_and_zeros_stand_in_for_samples(models, apart):
    files = apart(micro, models["linear"], "linear", None)
    assert files == apart(micro, models["linear"], "linear", None)
    assert listed(files["linear_model_data.cc"].decode(), "kTestInput0") == bytes(4)
    assert "zeros: no golden samples were given" in files["linear_model.h"].decode()


# --- operators ---------------------------------------------------------------------------------


def test_the_table_of_operators_is_that_of_the_interpreter():
    custom = [name for name in METHODS if not name.isupper() or name.startswith(("TFLM", "CIRC"))]
    done = subprocess.run(
        [sys.executable, STUB / "known_operators.py", *custom, "NoSuchThing"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == set(METHODS)


def test_methods_are_spelled_as_the_resolver_has_them():
    operators = dict.fromkeys(
        ("CONV_2D", "PADV2", "L2_POOL_2D", "RELU6", "SPLIT_V", "SignalPCAN"), ""
    )
    assert resolver_methods(operators, "1") == [
        "AddConv2D", "AddL2Pool2D", "AddPCAN", "AddPadV2", "AddRelu6", "AddSplitV"
    ]  # fmt: skip


def test_an_unsupported_operator_is_named_with_a_way_out(models, apart):
    with pytest.raises(ConversionError, match=r"(?s)lacks.*TOPK_V2 \(makes '.*take the best k of"):
        apart(micro, models["best"], "best", None)
    flex = (EDGE_DATA / "flex.tflite").read_bytes()
    with pytest.raises(ConversionError, match=r"FlexMatrixInverse \(makes .*replace the layer"):
        apart(micro, flex, "flex", None)


def test_variables_between_predictions_are_refused():
    with pytest.raises(ConversionError, match="make the state an input"):
        resolver_methods({"ADD": "a", "VAR_HANDLE": "v", "READ_VARIABLE": "r"}, "1")


# --- memory ------------------------------------------------------------------------------------


def fits(content, arena):
    interpreter_of(content, arena)
    return True


def test_the_least_arena_is_the_least(models, apart):
    content = read_model(models["linear"]).content
    arena = least_arena(content)
    assert arena % 16 == 0
    assert apart(fits, content, arena)
    with pytest.raises(Exception, match=r"failed to allocate|SIGSEGV"):
        apart(fits, content, arena - 16)


def test_arenas_that_end_the_interpreter_are_too_small(models):
    assert 2048 < least_arena(read_model(models["conv"]).content) < 8192


def test_a_model_that_cannot_be_prepared_says_why(models, apart):
    with pytest.raises(ConversionError, match="cannot prepare the model") as failure:
        apart(micro, models["dynamic"], "dynamic", None)
    assert "failed to prepare" in failure.value.detail


# --- the same as LiteRT ------------------------------------------------------------------------


def litert_reference(content, inputs):
    """Outputs of LiteRT's reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_REF
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def compare_with_reference(content, inputs):
    return compare_with_litert(content, inputs, reference=True)


def test_a_float_model_is_equal_to_the_bit(models, apart):
    given = {"x": samples((1,))}
    same = MicroComparison(samples=50, equal=50, greatest_step=0.0)
    assert apart(compare_with_litert, models["linear"], given) == same
    assert apart(compare_with_reference, models["linear"], given) == same


def test_a_recurrent_model_compiles_and_is_equal_to_the_bit(models, apart, tmp_path):
    given = {"x": samples((7, 4))}
    found = apart(compare_with_reference, models["lstm"], given)
    assert found == MicroComparison(samples=50, equal=50, greatest_step=0.0)
    for name, text in apart(micro, models["lstm"], "lstm", given).items():
        (tmp_path / name).write_bytes(text)
    program = checked(tmp_path, "lstm_model")
    assert said(program, "right")[0][:2] == ["1", "1"]
    assert said(program, "wrong")[0][:2] == ["1", "0"]


def test_a_recurrent_model_of_integers_is_some_steps_apart_at_most(models, apart):
    given = {"x": samples((7, 4), 200)}
    whole = apart(to_integers, models["lstm"], "tflite", "int8", given, "int8")
    found = apart(compare_with_reference, whole, given)
    assert (found.equal > 100, found.usual_step <= 2, found.greatest_step <= 4) == (True,) * 3


def test_what_is_rare_is_told_from_what_is_usual(monkeypatch):
    calls = [[np.zeros((1, 3), np.int8)] for _ in range(200)]
    other = [[values + np.int8(9 * (n % 20 == 0))] for n, (values,) in enumerate(calls)]
    monkeypatch.setattr(micro_compare, "read_model", lambda _: Calls(calls))
    monkeypatch.setattr(micro_compare, "run_micro", lambda *_: calls)
    monkeypatch.setattr(micro_compare, "_run_litert", lambda *_: other)
    assert compare_with_litert(b"", {}) == MicroComparison(200, 190, 9.0, 0.0)
    other[1] = [np.int8([[0, 0, 2]])]
    assert compare_with_litert(b"", {}) == MicroComparison(200, 189, 9.0, 2.0)


class Calls:
    """A model of batch one that takes what it is given."""

    batch = 1

    def __init__(self, calls):
        self.raw = lambda _: calls


def test_an_int8_model_is_a_step_apart_at_most(models, apart):
    given = {"image": samples((8, 8, 1), 200)}
    found = apart(compare_with_litert, models["conv"], given)
    assert (found.samples, found.equal > 150, found.greatest_step <= 1) == (200, True, True)
    nearer = apart(compare_with_reference, models["conv"], given)
    assert nearer.equal >= found.equal


def test_samples_fill_whole_batches(apart):
    content = (EDGE_DATA / "fixed.tflite").read_bytes()
    found = apart(compare_with_litert, content, {"x": samples((1,), 5)})
    assert found == MicroComparison(samples=4, equal=4, greatest_step=0.0)


# --- what is given -----------------------------------------------------------------------------


def test_weights_are_aligned_and_names_left_out(models):
    from ai_edge_litert import schema_py_generated as schema

    content = read_model(models["conv"]).content
    assert len(content) < len(models["conv"])
    model = schema.Model.GetRootAs(content, 0)
    places = [
        buffer._tab.Vector(buffer._tab.Offset(4))
        for buffer in map(model.Buffers, range(model.BuffersLength()))
        if buffer.DataLength()
    ]
    assert len(places) > 6
    assert {place % 16 for place in places} == {0}
    assert model.SignatureDefsLength() == 0


def test_ends_are_those_of_the_file(models):
    (end,) = read_model(models["conv"]).inputs
    assert (end.name, end.shape, end.dtype, end.bytes) == ("image", (1, 8, 8, 1), "int8", 64)
    assert read_model(models["linear"]).outputs == (End("output_0", (1, 1), "float32", None),)


def test_inputs_that_do_not_fit_are_named(models):
    model = read_model(models["conv"])
    with pytest.raises(DataError, match=r"no samples for the input 'image'; there is \['x'\]"):
        model.raw({"x": samples((8, 8, 1))})
    with pytest.raises(DataError, match=r"takes \[1, 8, 8, 1\], the samples are \[8, 4\] each"):
        model.raw({"image": samples((8, 8), 3)[:, :, :4]})
    with pytest.raises(DataError, match="NaN"):
        model.raw({"image": samples((8, 8, 1)) * np.float32(np.nan)})
    integers = np.arange(64, dtype=np.int8).reshape(1, 8, 8, 1)
    assert np.array_equal(model.raw({"image": integers})[0][0], integers)


@pytest.mark.parametrize("length", [0, 7, 8, 40, 700])
def test_what_is_no_model_is_refused(models, length):
    with pytest.raises(ConversionError, match=r"not a TFLite model|damaged"):
        read_model(models["linear"][:length])


# --- text --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Digits 2", "digits_2_model"),
        ("my-model", "my_model"),
        ("int", "int_model"),
        ("3d", "model_3d"),
        ("__ü__", "model"),
        ("a__b", "a_b_model"),
    ],
)
def test_a_name_becomes_a_namespace(name, expected):
    assert identifier(name) == expected


def test_text_cannot_leave_its_literal_or_comment():
    assert string('a"\\\n?\x00é') == r'"a\"\\\012\?\000\303\251"'
    assert comment(["one\ntwo \\", ""]) == "// one two\n//"


def test_a_float_literal_reads_as_the_same_float32():
    for value in np.float32([1 / 3, 1e-38, 3.4e38, 0.00784313772]):
        assert np.float32(floating(float(value))[:-1]) == value
