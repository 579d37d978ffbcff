"""The doctor: every check on facts that are fine and on facts that are not; this machine's own."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import run_toolkit
from toolkit.doctor import deep, machine, network, packages, places
from toolkit.doctor.examine import CHECKS, examine
from toolkit.doctor.facts import Disk, Facts, Gpu
from toolkit.doctor.finding import OK, PROBLEM, WARNING
from toolkit.doctor.gather import gather, parse_gpus
from toolkit.doctor.versions import requirement, within

GB = 10**9
GOOD = Facts(
    versions={packages.PACKAGE: "0.1.0", "numpy": "2.4.6", "click": "8.1"},
    requirements=("numpy>=2.0", "click>=8.1"),
    disks={"runs": Disk("runs", 50 * GB, writable=True)},
)
GPU = Gpu("A100", "550.54", 40960)


def with_versions(**versions):
    names = {name.replace("_", "-"): version for name, version in versions.items()}
    return replace(GOOD, versions={**GOOD.versions, **names})


def test_a_good_machine_has_no_complaint():
    found = list(examine(GOOD))
    assert {each.status for each in found} == {OK}
    assert not any(each.fix for each in found)


@pytest.mark.parametrize(
    ("check", "facts", "status", "words"),
    [
        (packages.python, replace(GOOD, python=(3, 10, 1)), PROBLEM, ["3.10.1", "3.11 to 3.13"]),
        (packages.python, replace(GOOD, python=(3, 14, 0)), PROBLEM, ["3.14.0"]),
        (packages.extras, replace(GOOD, versions={}), WARNING, ["not installed"]),
        (
            packages.extras,
            replace(with_versions(), requirements=("torch<2.15,>=2.9; extra == 'torch'",)),
            WARNING,
            ["torch not installed", "edge-deployment-toolkit[torch]"],
        ),
        (
            packages.extras,
            replace(with_versions(keras="3.10.0"), requirements=("keras<4,>=3.13; extra == 'tf'",)),
            PROBLEM,
            ["keras 3.10.0", "'keras<4,>=3.13'"],
        ),
        (packages.extras, replace(GOOD, requirements=("rich>=13",)), PROBLEM, ["rich not"]),
        (
            packages.conflicts,
            replace(
                with_versions(tensorflow="2.21.0", protobuf="7.1"),
                required_by={"tensorflow": ("protobuf<7,>=5", "foo; extra == 'x'")},
            ),
            PROBLEM,
            ["tensorflow 2.21.0 needs protobuf<7,>=5, not 7.1"],
        ),
        (
            packages.combinations,
            with_versions(litert_torch="0.10.0", torch="2.15.1+cu130"),
            PROBLEM,
            ["2.15.1", "torch>=2.9,<2.15"],
        ),
        (
            packages.combinations,
            with_versions(tflite_runtime="2.14.0"),
            PROBLEM,
            ["NumPy 2.4.6", "ai-edge-litert"],
        ),
        (packages.combinations, with_versions(keras="3.12.0"), PROBLEM, ["Keras 3.12.0"]),
        (
            packages.combinations,
            with_versions(tensorflow="2.21.0", triton="3.1"),
            OK,
            ["crash in one process"],
        ),
        (machine.features, replace(GOOD, cpu_flags=frozenset({"sse"})), PROBLEM, ["AVX"]),
        (machine.features, replace(GOOD, cpu_flags=frozenset({"avx"})), WARNING, ["slow"]),
        (machine.features, replace(GOOD, machine="aarch64"), OK, ["NEON"]),
        (machine.features, replace(GOOD, machine="riscv64"), WARNING, ["riscv64"]),
        (machine.cpus, replace(GOOD, cpu_quota=1.5), WARNING, ["1.5", "--workers 1"]),
        (
            machine.threads,
            replace(GOOD, environment={"OMP_NUM_THREADS": "64"}),
            WARNING,
            ["OMP_NUM_THREADS=64", "unset OMP_NUM_THREADS"],
        ),
        (
            machine.threads,
            replace(GOOD, environment={"OMP_NUM_THREADS": "many"}),
            PROBLEM,
            ["no count"],
        ),
        (machine.gpus, replace(GOOD, gpu_error="no driver"), WARNING, ["no driver"]),
        (machine.gpus, replace(GOOD, gpus=(GPU,)), OK, ["1 x A100, driver 550.54"]),
        (
            machine.gpus,
            replace(GOOD, gpus=(replace(GPU, driver="470.1"),)),
            PROBLEM,
            ["470.1", "525"],
        ),
        (
            machine.gpus,
            replace(with_versions(torch="2.13.0+cpu"), gpus=(GPU,)),
            WARNING,
            ["CPU build"],
        ),
        (
            machine.gpus,
            replace(GOOD, gpus=(GPU,), environment={"CUDA_VISIBLE_DEVICES": ""}),
            WARNING,
            ["hidden"],
        ),
        (machine.memory, replace(GOOD, memory_free=GB), WARNING, ["1.0 GB free of 16.0 GB"]),
        (machine.memory, replace(GOOD, shared_memory=67_108_864), WARNING, ["--shm-size=4g"]),
        (machine.memory, replace(GOOD, shared_memory=None), WARNING, ["/dev/shm"]),
        (machine.surroundings, replace(GOOD, encoding="ascii"), PROBLEM, ["PYTHONUTF8=1"]),
        (machine.surroundings, replace(GOOD, year=1970), PROBLEM, ["the year is 1970"]),
        (machine.surroundings, replace(GOOD, clock_ahead=90.0), PROBLEM, ["+90 s"]),
        (
            places.disks,
            replace(GOOD, disks={"runs": Disk("/r", 0, writable=False)}),
            PROBLEM,
            ["/r cannot be written", "--runs-dir"],
        ),
        (
            places.disks,
            replace(GOOD, disks={"tmp": Disk("/t", GB, writable=True)}),
            WARNING,
            ["1.0 GB free", "RAY_TMPDIR"],
        ),
        (network.ports, replace(GOOD, busy_ports=(6379,)), WARNING, ["6379", "--port=6380"]),
        (network.ray, replace(GOOD, ray_running=True), OK, ["--address auto"]),
        (network.proxy, replace(GOOD, environment={"HTTP_PROXY": "x"}), WARNING, ["no_proxy"]),
    ],
)
def test_what_is_wrong_is_named_with_its_fix(check, facts, status, words):
    assert check in CHECKS
    [worst] = [each for each in check(facts) if each.status == status][-1:]
    for word in words:
        assert word in f"{worst.detail} {worst.fix}"
    assert bool(worst.fix) == (status != OK)


@pytest.mark.parametrize(
    ("version", "limits", "good"),
    [
        ("2.21.0", ">=2.20,<2.22", True),
        ("2.22", ">=2.20,<2.22", False),
        ("3", ">=3.0.0", True),
        ("2.13.0+cpu", "<2.15,>=2.9", True),
        ("1.4.5", "~=1.4.2", True),
        ("1.5", "~=1.4.2", False),
        ("1.4.5", "==1.4.*", True),
        ("4.0.1", "!=4.0.1", False),
        ("unknown", ">=1", True),
    ],
)
def test_versions_and_ranges(version, limits, good):
    assert within(version, limits) == good


def test_requirements_are_read_as_metadata_state_them():
    found = requirement("Ray_X[data] (>=2.50) ; python_version < '3.12' and extra == \"data\"")
    assert found is not None
    assert (found.name, found.range, found.extra) == ("ray-x", ">=2.50", "data")
    assert found.conditional
    assert requirement("???") is None


def test_nvidia_smis_rows_are_read():
    assert parse_gpus("NVIDIA H100 80GB HBM3, 570.86.15, 81559\nno row\n") == (
        Gpu("NVIDIA H100 80GB HBM3", "570.86.15", 81559),
    )


def test_facts_of_this_machine_are_plausible(tmp_path):
    facts = gather(tmp_path / "runs")
    assert facts.versions["numpy"]
    assert any(line.startswith("keras") for line in facts.requirements)
    assert 1 <= facts.allowed_cpus <= facts.cpus
    assert 0 < facts.memory_free <= facts.memory
    assert facts.disks["runs"].writable
    assert not (tmp_path / "runs").exists()


def test_nvidia_smi_that_fails_without_a_word_is_told(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert gather(tmp_path).gpu_error == "exit code 9"


def test_imports_that_fail_crash_or_hang_are_told():
    good = deep.try_import("numpy", "json", 60)
    assert good.status == OK
    missing = deep.try_import("x", "no_such_module_here", 60)
    assert missing.status == PROBLEM
    assert "No module named 'no_such_module_here'" in missing.detail
    crash = deep.try_import("x", "os; os.abort()", 60)
    assert "SIGABRT" in crash.detail
    slow = deep.try_import("x", "time; time.sleep(9)", 0.3)
    assert "not done after 0.3 s" in slow.detail


def test_the_command_prints_a_table_and_json(tmp_path: Path):
    result = run_toolkit("doctor", "--all", "--runs-dir", tmp_path)
    assert "Python" in result.out
    assert "fine" in result.err
    told = run_toolkit("doctor", "--json", "--runs-dir", tmp_path).json
    assert told["passed"] == (told["counts"]["problem"] == 0)
    assert {"check", "status", "detail", "fix"} == set(told["checks"][0])


def test_a_problem_makes_the_exit_code_one(tmp_path: Path):
    (tmp_path / "file").write_text("")
    result = run_toolkit("doctor", "--json", "--runs-dir", tmp_path, OMP_NUM_THREADS="none")
    assert result.code == 1
    [problem] = [each for each in result.json["checks"] if each["status"] == "problem"]
    assert problem["fix"] == "unset OMP_NUM_THREADS"
