"""Benchmark: what each model file costs on this machine, and how good it is.

measure.py   one file, inside a process of its own: -> BenchRow
stage.py     several files one after another
memory.py    the peak memory of this process
table.py     rows as CSV, as JSON and as a plot
"""
