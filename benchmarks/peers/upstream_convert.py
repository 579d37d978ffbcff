"""Peer: a model to TFLite or ONNX by the upstream converters, called as their guides call them.

    python -m benchmarks.peers.upstream_convert torch tflite RECIPE MODEL FOLDER int8 [fp16 ...]

MODEL is the model.keras or model.safetensors of a run; data for static int8 are the first training
samples of the recipe, as many as the toolkit takes. Writes FOLDER/FRAMEWORK-PRECISION.TARGET.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

SAMPLES = 256
PRECISIONS = ("fp32", "fp16", "dynamic", "int8")


def keras_tflite(source: "Source", precision: str, out: Path) -> None:
    """TensorFlow's converter, which quantises by itself."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(source.keras)
    if precision != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.representative_dataset = lambda: ([sample] for sample in source.samples())
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    out.write_bytes(converter.convert())


def torch_tflite(source: "Source", precision: str, out: Path) -> None:
    """litert_torch, then AI Edge Quantizer."""
    floats = source.once("tflite", lambda path: torch_to_tflite(source, path))
    if precision == "fp32":
        out.write_bytes(floats.read_bytes())
        return
    from ai_edge_quantizer import Quantizer, recipe

    quantizer = Quantizer(str(floats))
    match precision:
        case "fp16":
            half_weights(quantizer)
        case "dynamic":
            quantizer.load_quantization_recipe(recipe.dynamic_wi8_afp32())
        case _:
            quantizer.load_quantization_recipe([*recipe.static_wi8_ai8(), *FLOAT_IO])
    ranges = None
    if precision == "int8":
        data = [{source.tflite_input(floats): sample} for sample in source.samples()]
        ranges = quantizer.calibrate({"serving_default": data})
    quantizer.quantize(ranges).export_model(out, overwrite=True)


FLOAT_IO = [
    {"regex": ".*", "operation": place, "algorithm_key": "no_quantize", "op_config": {}}
    for place in ("INPUT", "OUTPUT")  # the other converters keep floats there by themselves
]


def half_weights(quantizer: Any) -> None:
    """Ask AI Edge Quantizer for weights in float16."""
    from ai_edge_quantizer import qtyping

    weights = qtyping.TensorQuantizationConfig(16, dtype=qtyping.TensorDataType.FLOAT)
    quantizer.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=weights,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key="float_casting",
    )


def torch_to_tflite(source: "Source", path: Path) -> None:
    import litert_torch  # before anything of TensorFlow
    import torch

    sample = torch.from_numpy(source.samples()[0])
    litert_torch.convert(source.torch, (sample,)).export(str(path))


def keras_onnx(source: "Source", precision: str, out: Path) -> None:
    """Keras's own export, which is tf2onnx, then onnxruntime's quantiser."""
    floats = source.once(
        "onnx", lambda path: source.keras.export(str(path), format="onnx", verbose=False)
    )
    quantise_onnx(source, floats, precision, out)


def torch_onnx(source: "Source", precision: str, out: Path) -> None:
    """torch.onnx, then onnxruntime's quantiser."""
    floats = source.once("onnx", lambda path: torch_to_onnx(source, path))
    quantise_onnx(source, floats, precision, out)


def torch_to_onnx(source: "Source", path: Path) -> None:
    import torch

    samples = torch.from_numpy(np.concatenate(source.samples()[:2]))
    torch.onnx.export(
        source.torch,
        (samples,),
        str(path),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        verbose=False,
    )


def quantise_onnx(source: "Source", floats: Path, precision: str, out: Path) -> None:
    """onnxruntime's tools, as its guide calls them."""
    import onnx
    from onnxruntime import quantization

    match precision:
        case "fp32":
            out.write_bytes(floats.read_bytes())
        case "fp16":
            from onnxruntime.transformers.float16 import convert_float_to_float16

            onnx.save(convert_float_to_float16(onnx.load(floats), keep_io_types=True), out)
        case "dynamic":
            quantization.quantize_dynamic(floats, out, weight_type=quantization.QuantType.QInt8)
        case _:
            prepared = source.folder / "prepared.onnx"
            quantization.quant_pre_process(floats, prepared)
            quantization.quantize_static(
                prepared,
                out,
                reader(source, onnx.load(floats).graph.input[0].name),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )


def reader(source: "Source", name: str) -> Any:
    """Samples as onnxruntime's calibration takes them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        samples = iter(source.samples())

        def get_next(self) -> dict[str, Any] | None:
            sample = next(self.samples, None)
            return None if sample is None else {name: sample}

    return Reader()


class Source:
    """A trained model and its samples, each made when first asked for."""

    def __init__(self, recipe: str, model: str, folder: Path) -> None:
        from toolkit.source import find

        self.recipe, self.path, self.folder = find(recipe).load(), model, folder
        self._samples: list[Any] = []

    @property
    def keras(self) -> Any:
        if not hasattr(self, "_keras"):
            import keras

            self._keras = keras.models.load_model(self.path)
            self._keras(self.samples()[0])  # export refuses a model that was never called
        return self._keras

    @property
    def torch(self) -> Any:
        if not hasattr(self, "_torch"):
            from safetensors.torch import load_file

            self._torch = self.recipe.torch()
            self._torch.load_state_dict(load_file(self.path))
        return self._torch.eval()

    def samples(self) -> list[Any]:
        """Preprocessed, each [1, ...]."""
        if not self._samples:
            from edge import steps

            split, name = self.recipe.data().train, self.recipe.input_name
            raw = np.asarray(split.inputs[:SAMPLES])
            ready = steps.apply(self.recipe.steps_for(name), raw)
            self._samples = [ready[index : index + 1] for index in range(len(ready))]
        return self._samples

    def once(self, suffix: str, make: Any) -> Path:
        """A float file that other precisions are made from."""
        path = self.folder / f"float.{suffix}"
        if not path.exists():
            make(path)
        return path

    def tflite_input(self, path: Path) -> str:
        """The name of the only input in a file's signature."""
        from ai_edge_litert.interpreter import Interpreter

        (names,) = (each["inputs"] for each in Interpreter(str(path)).get_signature_list().values())
        return str(names[0])


CONVERTERS = {
    ("tf", "tflite"): keras_tflite,
    ("tf", "onnx"): keras_onnx,
    ("torch", "tflite"): torch_tflite,
    ("torch", "onnx"): torch_onnx,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("framework", choices=("tf", "torch"))
    parser.add_argument("target", choices=("tflite", "onnx"))
    parser.add_argument("recipe")
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("precisions", nargs="+", choices=PRECISIONS)
    given = parser.parse_args()
    with TemporaryDirectory() as scratch:
        source = Source(given.recipe, given.model, Path(scratch))
        for precision in given.precisions:
            out = given.folder / f"{given.framework}-{precision}.{given.target}"
            CONVERTERS[given.framework, given.target](source, precision, out)


if __name__ == "__main__":
    main()
