"""What is inside a model file, read without running it.

inspect.py     the one entry: content -> Inspection
report.py      the Inspection: as JSON and as lines
graph.py       a model as values and nodes; counts, work and memory over them
onnx_file.py   ONNX -> graph         tflite_file.py   TFLite -> graph
onnx_macs.py, tflite_macs.py   multiplications of one operator
versions.py    the least onnxruntime that reads a file
"""
