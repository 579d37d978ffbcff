"""What runs on a device: load a model file, feed it, read its answer.

Needs the Python standard library, numpy and one runtime (LiteRT for .tflite files, ONNX Runtime for
.onnx files). It never imports the toolkit or a training framework; the toolkit imports this package
to verify what it exports, so the code that is verified is the code that ships.

Where to look:
  __main__.py, cli.py, commands.py   `python -m edge run|selftest|bench|info|serve|watch`
  infer.py         the simplest way in: `python edge/infer.py MODEL --input 4.0`
  runtime.py       `load(path)` gives a `Model`; model.py says what a `Model` does
  manifest.py      the description of a model that travels inside its file, in manifest_tflite.py
  steps.py         preprocessing and postprocessing as data; steps_*.py are the steps
  decision.py      from outputs to answers;  quantisation.py  integers that stand for float32
  answer.py        the whole way: raw values, steps, model, decision, labels
  bundle.py        a signed bundle; bundle_*.py, golden.py its parts
  trust.py         whose bundles are accepted;  _ed25519.py, hashes.py  signatures and hashes
  selftest.py      golden vectors replayed on this device;  bench.py  latency
  serve.py, watch.py   a local HTTP server; files and lines as a stream
  read_input.py, read_media.py   values that a user types or stores
  errors.py        every error that this package raises

Importing this package is cheap: it loads nothing.
"""
