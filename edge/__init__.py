"""What runs on a device: load a model file, feed it, read its answer.

Needs the Python standard library, numpy and one runtime (LiteRT for .tflite files, ONNX Runtime for
.onnx files). It never imports the toolkit or a training framework; the toolkit imports this package
to verify what it exports, so the code that is verified is the code that ships.

Where to look:
  infer.py       the command line: `python edge/infer.py MODEL --input 4.0`
  runtime.py     `load(path)` gives a `Model`; model.py says what a `Model` does
  manifest.py    the description of a model that travels inside its file
  steps.py       preprocessing;  decision.py  from outputs to answers
  answer.py      the whole way: raw values, steps, model, decision, labels
  read_input.py  values that a user types or stores;  bench.py  latency
  errors.py      every error that this package raises

Importing this package is cheap: it loads nothing.
"""
