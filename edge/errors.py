"""Every error that `edge` raises on purpose.

    EdgeError
    |-- ModelError                the model file: missing, damaged, no model, needs operations that
    |   |                         the runtime lacks, or a manifest that is wrong
    |   `-- BrokenRuntimeError    the runtime is not installed, or failed while it ran the model
    |-- BundleError               the bundle: damaged, cut off, too new (bundle_format.py)
    |   `-- TrustError            not signed by a key that this device trusts
    `-- InputError                what was given to the model: shape, dtype, names, unreadable text

A message says what was wrong, where, and the next step, in one to three lines. The exception of the
runtime that caused it is kept as `__cause__`.
"""

from __future__ import annotations


class EdgeError(Exception):
    """Base of the errors of this package; catch it to catch them all."""


class ModelError(EdgeError):
    """The model file cannot be used."""


class BrokenRuntimeError(ModelError):
    """The runtime is missing, or broke while it ran the model."""


class InputError(EdgeError):
    """The input, the preprocessing or the decision does not fit."""
