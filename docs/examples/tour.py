"""A tour of the Python API: train, export, prove, bundle, predict. Cells begin with `# %%`.

Editors that know notebooks (VS Code, PyCharm, Spyder, Jupytext) run it cell by cell; Python runs it
as it is. Everything goes into a temporary folder; it takes about half a minute on two free cores.
"""

# %% One stage, one function
import tempfile
from pathlib import Path

import numpy as np

from toolkit import api

place = Path(tempfile.mkdtemp())
runs = place / "runs"

# %% Train y = 2x with TensorFlow and with PyTorch, each on two Ray workers
run = api.train("linear", workers=2, runs=runs)
print(run.name, run.frameworks)
for framework, facts in run.facts["frameworks"].items():
    print(f"{framework:<6} {facts['steps']} steps, val_loss {facts['val_loss']:.1e}")

# %% The curves, a row an epoch and framework
rows = [row for row in run.rows("metrics") if row["framework"] == "torch"]
print(f"torch  loss {rows[0]['loss']:.3f} after epoch 1, {rows[-1]['loss']:.1e} at the end")

# %% One file a framework, target and precision
for export in api.export(run, targets=["tflite", "onnx"]):
    print(f"{export.file:<42} {export.bytes / 1000:.1f} kB")

# %% The proof: every file in every runtime that can read it
checks = api.verify(run)
for check in checks:
    print(f"{check.runtime:<36} 4.0 gives {check.probe:.4f}, error {check.error:.0e}")
assert all(check.passed for check in checks), [check.reason for check in checks]

# %% What a file costs on this machine
for row in api.bench(run, seconds=0.2):
    print(f"{row.file:<34} {row.p50_us:.0f} us, {row.samples_per_s:,.0f} samples/s")

# %% What is inside one
onnx = run.path / next(e.file for e in run.exports if e.target == "onnx")
inspection = api.inspect(onnx)
print(f"{inspection.name}: {inspection.parameters} parameters, {dict(inspection.operators)}")

# %% One signed file for a device
api.new_key(place / "release.pem", store=place / "keys.json")
bundle = api.bundle(run, framework="tf", keys=[place / "release.pem"], output=place)
print(f"{bundle.name} {bundle.stat().st_size / 1000:.0f} kB")

# %% What the device does: this needs numpy and one runtime, nothing of the toolkit
from edge.runtime import load  # noqa: E402 - a cell of its own

model = load(onnx)
print(model.predict({"x": np.array([[4.0]], np.float32)}))

# %% All of it as one HTML file
print(f"report {api.report(run).stat().st_size / 1000:.0f} kB")
