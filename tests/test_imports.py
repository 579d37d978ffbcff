"""What an import loads, in fresh processes, and that every module says what it does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import toolkit

ROOT = Path(__file__).parents[1]
HEAVY = {
    "ai_edge_litert", "flatbuffers", "google.protobuf", "h5py", "jax", "keras", "litert_torch",
    "onnx", "onnxruntime", "ray", "safetensors", "scipy", "sklearn", "tensorboard", "tensorflow",
    "tf2onnx", "torch",
}  # fmt: skip
MODULES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for path in (ROOT / "toolkit").rglob("*.py")
    if path.name != "__main__.py"
)
PROBE = """
import json, sys
{}
print(json.dumps(sorted(sys.modules)))
"""
LOAD_DATA = """
from toolkit import source
from toolkit.data.load import load
load(source.find("linear").load())
"""


def loaded(code):
    """Names of all modules that are loaded after `code` has run in a fresh process."""
    command = [sys.executable, "-c", PROBE.format(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout.splitlines()[-1]))


def heavy(code):
    return HEAVY & loaded(code)


def test_all_modules_are_seen():
    assert {"toolkit", "toolkit.cli", "toolkit.train.tensorflow", "toolkit.export.names"} <= set(
        MODULES
    )


def test_no_module_loads_a_framework_when_it_is_imported():
    """One process for all: the sum of the imports says enough."""
    assert heavy("\n".join(f"import {name}" for name in MODULES)) == set()


@pytest.mark.parametrize(
    "code",
    [
        "import toolkit",
        "import toolkit.cli",
        "import toolkit.cli; toolkit.cli.main(['--version'])",
        "from toolkit.source import find; find('linear').load(); find('digits').load()",
        LOAD_DATA,
        "import toolkit.verify.check, toolkit.hosts",  # in every child process
        "import edge, edge.runtime",
    ],
)
def test_what_needs_no_framework_loads_none(code):
    if "main(" in code:
        code = f"import contextlib\nwith contextlib.suppress(SystemExit):\n    {code}"
    assert heavy(code) == set()


def test_the_probe_would_notice():
    assert heavy("import google.protobuf") == {"google.protobuf"}


def test_importing_the_package_starts_no_command_line():
    assert not {"click", "rich", "toolkit.cli", "toolkit.train"} & loaded("import toolkit")


def test_what_runs_on_devices_does_not_know_the_toolkit():
    names = ", ".join(f"edge.{path.stem}" for path in (ROOT / "edge").glob("[!_]*.py"))
    assert not {name for name in loaded(f"import {names}") if name.split(".")[0] == "toolkit"}


def test_the_export_list_is_what_there_is():
    assert all(hasattr(toolkit, name) for name in toolkit.__all__)
    assert toolkit.__all__ == [
        *("SGD", "Adam", "Callback", "Cosine", "Cutout", "Data", "EarlyStopping", "Experience"),
        *("Flip", "Linear", "PerFramework", "Policy", "Probe", "Recipe", "Rollout"),
        *("SampleRandom", "Schedule", "Shift", "Split", "StepDecay", "Stream", "__version__"),
    ]
