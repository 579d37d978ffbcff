"""What may be exported from what, and file names that say all that changes the content."""

import pytest

from toolkit.errors import UsageError
from toolkit.export.request import Request


def test_targets_that_no_model_has_are_refused_and_others_left_out():
    both = Request(targets=("tflite", "savedmodel", "pt2"))
    both.check(["tf", "torch"])
    assert both.cells(["tf", "torch"]) == [
        ("tf", "tflite"),
        ("tf", "savedmodel"),
        ("torch", "tflite"),
        ("torch", "pt2"),
    ]
    with pytest.raises(UsageError, match="'savedmodel' is made from a TensorFlow model only"):
        both.check(["torch"])
    with pytest.raises(UsageError, match="'onnx' is made from a TensorFlow or PyTorch or onnx"):
        Request(targets=("onnx",)).check(["tflite"])
    with pytest.raises(UsageError, match="'torchserve' is made from a PyTorch model only"):
        Request(targets=("torchserve",)).check(["tf"])
    with pytest.raises(UsageError, match="'torchserve' has no precision int8; it has fp32"):
        Request(targets=("torchserve",), precisions=("int8",)).check(["torch"])


def test_precisions_that_a_target_lacks_are_left_out_or_refused():
    request = Request(targets=("tflite", "onnx"), precisions=("16x8", "int8"))
    assert request.precisions_of("tflite") == ("16x8", "int8")
    assert request.precisions_of("onnx") == ("int8",)
    with pytest.raises(UsageError, match="target 'onnx' has no precision 16x8; it has fp32, fp16"):
        Request(targets=("onnx",), precisions=("16x8",)).check(["tf"])


def test_integers_in_and_out_need_a_static_precision():
    with pytest.raises(UsageError, match="--io int8 needs --precision int8"):
        Request(io="int8")


def test_a_name_says_what_changes_the_content():
    request = Request(precisions=("int8",), batch=4, layout="nchw", io="int8", opset=17)
    assert request.file_name("m", "tf", "onnx", "int8") == "m-tf-int8-b4-nchw-int8io-opset17.onnx"
    assert request.file_name("m", "tf", "tflite", "fp32") == "m-tf-fp32-b4-nchw.tflite"
    assert Request().file_name("m", "torch", "onnx", "fp32") == "m-torch-fp32-opset18.onnx"
    assert Request().file_name("m", "tf", "savedmodel", "fp32") == "m-tf-fp32-savedmodel"
    assert request.file_name("m", "torch", "torchserve", "fp32") == "m-torch-fp32-b4-nchw.mar"
