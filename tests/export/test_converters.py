"""Real conversions of models that converters stumble over, compared with the source model."""

import json
import subprocess
import sys
import textwrap

import pytest

KERAS = {
    "two named inputs, not in order": """
        a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
        joined = keras.layers.Concatenate()([b, 2 * a])
        return keras.Model({"b": b, "a": a}, keras.layers.Dense(3)(joined))
    """,
    "batch norm": """
        layers = keras.layers
        return keras.Sequential([
            layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(),
            layers.Flatten(), layers.Dense(3),
        ])
    """,
}
SHAPES = {
    "two named inputs, not in order": {"b": (2,), "a": (2,)},
    "batch norm": {"image": (8, 8, 1)},
}

SCRIPT = textwrap.dedent(
    """
    import json, sys, tempfile
    from pathlib import Path
    import numpy as np
    from edge.manifest import Manifest
    from edge.runtime import load
    from edge.tensor import Tensor
    from toolkit.builders import call_keras, keras_model
    from toolkit.export.job import ExportJob, convert
    from toolkit.source import RecipeSource

    case = json.loads(sys.argv[1])
    text = "def build():\\n    import keras\\n" + case["body"]
    text += "\\nfrom toolkit import Recipe\\nrecipe = Recipe('job', dict, keras=build)\\n"
    source = RecipeSource(text, "job.py")
    inputs = tuple(Tensor(n, (None, *s), "float32") for n, s in case["shapes"].items())
    outputs = (Tensor("y", (None, 3), "float32"),)
    random = np.random.default_rng(0)
    x = {t.name: random.random((4, *t.shape[1:]), np.float32) for t in inputs}
    model = keras_model(source.load(), x)
    folder = Path(tempfile.mkdtemp())
    model.save(folder / "model.keras")
    weights = (folder / "model.keras").read_bytes()
    expected = call_keras(model, x, training=False).numpy()
    errors = {}
    for target in ("tflite", "onnx"):
        manifest = Manifest("job", "tf", target, "fp32", inputs, outputs)
        path = folder / f"model.{target}"
        path.write_bytes(convert(ExportJob(source, "tf", target, weights, manifest)))
        exported = load(path)
        assert [tensor.name for tensor in exported.inputs] == list(x)
        errors[target] = float(np.abs(exported.predict(x)["y"] - expected).max())
    print(json.dumps(errors))
    """
)


@pytest.mark.parametrize("name", KERAS)
def test_keras_models_convert_and_agree(name: str) -> None:
    body = textwrap.indent(textwrap.dedent(KERAS[name]), "    ")
    case = json.dumps({"body": body, "shapes": SHAPES[name]})
    asked = [sys.executable, "-c", SCRIPT, case]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    errors = json.loads(done.stdout.splitlines()[-1])
    assert set(errors) == {"tflite", "onnx"}
    assert max(errors.values()) < 1e-5
