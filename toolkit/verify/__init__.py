"""Verification: does an exported file predict what was trained?

compare.py  the pure comparison of two sets of outputs
check.py    one file in one runtime, inside a process of its own
stage.py    every file of a run in every runtime that can read it
"""
