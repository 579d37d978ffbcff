"""Exporters: one file a framework and target, all from the same job to the same bytes.

job.py             what a converter is given, and how the one that fits is chosen
keras_tflite.py    Keras -> TFLite        keras_onnx.py   Keras -> ONNX
torch_tflite.py    torch -> TFLite        torch_onnx.py   torch -> ONNX
names.py           readable names and the manifest, written into the file
stage.py           all wanted conversions of a run, each in a process of its framework
"""
