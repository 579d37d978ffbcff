"""The commands that make a run again."""

from toolkit.artifacts import Export
from toolkit.report.commands import commands_of

RECIPE = {"origin": "/home/me/my recipe.py", "overrides": {"epochs": 3, "deterministic": True}}
FACTS = {"recipe": RECIPE, "frameworks": {"tf": {"world": 1}, "torch": {"world": 4}}}


def export(name, framework="tf", batch=None):
    stem, _, suffix = name.partition(".")
    precision = next(p for p in ("int8", "fp32") if p in stem)
    target = {"tflite": "tflite", "onnx": "onnx"}[suffix]
    return Export(f"exports/{name}", framework, target, precision, batch, 1, "0", 0.1)


def told(exports=(), **options):
    return [line for _, line in commands_of(FACTS, exports, built_in=False, **options)]


def test_training():
    assert told()[0] == (
        "toolkit train 'my recipe.py' --framework both --workers 4 --epochs 3 --deterministic"
    )
    (first, *_) = commands_of(FACTS, (), built_in=True)
    assert first[1].startswith("toolkit train 'my recipe' ")


def test_cells_with_the_same_precisions_share_a_command():
    files = [
        *(export(f"m-tf-{p}.tflite") for p in ("fp32", "int8")),
        *(export(f"m-tf-{p}-opset18.onnx") for p in ("fp32", "int8")),
        *(export(f"m-torch-{p}.tflite", "torch", 1) for p in ("fp32", "int8")),
        *(export(f"m-torch-{p}-opset18.onnx", "torch") for p in ("fp32", "int8")),
    ]
    export_both, *others = told(files)[1:-1]
    assert export_both == (
        "toolkit export --framework both --target onnx --target tflite "
        "--precision fp32 --precision int8"
    )
    assert others == ["toolkit verify"]


def test_options_that_change_the_file_are_told():
    files = [export("m-tf-int8-b4-nchw-int8io-opset20.onnx", batch=4)]
    assert told(files)[1].endswith("--batch 4 --layout nchw --io int8 --opset 20")


def test_what_the_ladder_chose_is_best():
    files = [export("m-tf-int8.tflite"), export("m-tf-fp32-opset18.onnx")]
    lines = told(files, laddered=[("tf", "tflite")], measured=True)
    assert lines[1] == "toolkit export --framework tf --target tflite --precision best"
    assert "--target onnx --precision fp32" in lines[2]
    assert "toolkit bench" in lines
