"""Exit codes, hints, and errors that travel between processes."""

import pickle

import pytest

from edge.errors import EdgeError
from toolkit import errors
from toolkit.errors import ToolkitError, nearest
from toolkit.hosts import HostError

CODES = {
    "ToolkitError": 3,
    "UsageError": 2,
    "RecipeError": 2,
    "DataError": 2,
    "NotFoundError": 2,
    "ResourceError": 2,
    "CheckError": 1,
    "WorkerError": 3,
    "StoppedError": 130,
    "ConversionError": 3,
    "StorageError": 3,
}
CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and value.__module__ == errors.__name__
]


def test_every_error_is_a_toolkit_error_with_the_documented_exit_code():
    assert {cls.__name__: cls.exit_code for cls in CLASSES} == CODES
    parents = {cls.__name__: cls.__base__.__name__ for cls in CLASSES}
    usage = {name for name, code in CODES.items() if code == 2} - {"UsageError"}
    assert {name for name, parent in parents.items() if parent == "UsageError"} == usage
    assert {parents[name] for name in set(parents) - usage - {"ToolkitError"}} == {"ToolkitError"}
    for name, code in CODES.items():
        (line,) = [line for line in errors.__doc__.splitlines() if f" {name} " in line]
        own = line.split(name)[1].split()[0]
        assert own == str(code) or (code == 2 and not own.isdigit())  # as its parent's


@pytest.mark.parametrize("cls", [*CLASSES, HostError])
def test_errors_survive_the_way_between_processes(cls):
    back = pickle.loads(pickle.dumps(cls("what broke", detail="line 1\nline 2")))
    assert type(back) is cls
    assert (str(back), back.detail) == ("what broke", "line 1\nline 2")


def test_detail_is_optional():
    assert ToolkitError("what broke").detail == ""


def test_what_runs_on_devices_has_errors_of_its_own():
    assert not issubclass(EdgeError, ToolkitError)


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("liner", ["linear", "digits"], "did you mean 'linear'?"),
        ("zzz", ["b", "a"], "there is: a, b"),
        ("zzz", [], "there is none"),
        ("", ["a"], "there is: a"),
        ("digit", iter(["digits"]), "did you mean 'digits'?"),
    ],
)
def test_nearest(name, known, expected):
    assert nearest(name, known) == expected
