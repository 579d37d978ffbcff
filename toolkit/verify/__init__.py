"""Verification: does an exported file predict what was trained?

gates.py      how good a file must be, by precision
compare.py    two sets of outputs, and the verdict; distances.py, metric.py are its arithmetic
files.py      opens what was exported, whatever the format
check.py      one file in one runtime, inside a process of its own
stage.py      every file of a run in every runtime that can read it
pair.py       any two models side by side
blame.py      which step, and which layer, made a file wrong; layers*.py look inside models
"""
