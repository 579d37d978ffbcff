"""Exporters: a model becomes one float file a target, and files of other precisions from there.

request.py, manifests.py   what is wanted; what the file will say about itself
job.py, convert.py         what a converter is given and gives; which one fits
keras_*.py, torch_*.py     the converters, each in a process of its framework
names.py                   readable names and the manifest, written into the file
quantise*.py               from a file in fp32 to another precision, without a framework
micro*.py                  C++ for microcontrollers from a .tflite file
stage.py                   all wanted files of a run
"""
