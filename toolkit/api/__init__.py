"""Every stage as a function, for scripts and notebooks: plain arguments, typed results.

    from toolkit import api

    run = api.train("digits", workers=2)
    api.export(run, precisions=["fp32", "int8"])
    assert all(check.passed for check in api.verify(run))
    api.bundle(run, framework="tf", keys=["release.pem"])

A `run` may be given as a value, a name or a path; without one, the latest run below `runs` is
taken. The work is done by `toolkit.pipeline`, as for the command line, and no framework is loaded
in the caller's process. What goes wrong is a `toolkit.errors.ToolkitError` that says what to do.
"""

from toolkit.api.given import Form, Given, Training
from toolkit.api.handover import bundle, new_key, report, serve
from toolkit.api.models import adopt, bench, bench_files, best, compare, export, inspect, verify
from toolkit.api.training import find, prove, resume, run_all, runs, train
from toolkit.artifacts import Check, Export
from toolkit.bench.measure import BenchRow
from toolkit.inspection.report import Inspection
from toolkit.ladder import Rung
from toolkit.runs import Run
from toolkit.source import RecipeSource
from toolkit.train.prove import Proof
from toolkit.verify.pair import PairResult

__all__ = [
    "BenchRow",
    "Check",
    "Export",
    "Form",
    "Given",
    "Inspection",
    "PairResult",
    "Proof",
    "RecipeSource",
    "Run",
    "Rung",
    "Training",
    "adopt",
    "bench",
    "bench_files",
    "best",
    "bundle",
    "compare",
    "export",
    "find",
    "inspect",
    "new_key",
    "prove",
    "report",
    "resume",
    "run_all",
    "runs",
    "serve",
    "train",
    "verify",
]
