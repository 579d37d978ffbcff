"""Finding a recipe, running its text, and what is said when either fails."""

import sys
import types
from pathlib import Path

import pytest

from toolkit.errors import NotFoundError, RecipeError, UsageError
from toolkit.source import RecipeSource, find, select_frameworks

GOOD = """
from toolkit import Recipe
recipe = Recipe(name="job", data=dict, torch=dict, epochs=7, seed=1)
"""


@pytest.fixture(autouse=True)
def _clean_imports(monkeypatch):
    """Recipes add a module and a folder; take both back."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("toolkit_recipe_", "neighbour")):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path):
    def write(text, name="job.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


@pytest.mark.parametrize("name", ["linear", "digits"])
def test_a_built_in_recipe_is_found_by_name(name):
    source = find(name)
    assert source.load().name == name
    assert source.origin.endswith(f"recipes/{name}.py")


def test_a_file_is_found_by_path(write, tmp_path, monkeypatch):
    path = write(GOOD)
    assert find(path).load().epochs == 7
    monkeypatch.chdir(tmp_path)
    assert find("job.py").origin == path
    assert find("./job.py").text == GOOD


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("liner", "no recipe 'liner'; did you mean 'linear'"),
        ("zzz", "there is: .*; or give the path of a .py file"),
        ("__init__", "no recipe '__init__'"),
        ("none.py", "'none.py' cannot be read: .*No such file"),
        ("folder/none", "'folder/none' cannot be read: .*No such file"),
        (".", "cannot be read: .*directory"),
        ("", "cannot be read: .*directory"),
    ],
)
def test_an_unknown_name_is_refused(name, match, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError, match=match):
        find(name)


def test_a_file_that_is_no_text_is_refused(write):
    with pytest.raises(NotFoundError, match=r"cannot be read: .*utf-8"):
        find(write(b"\xff\xfe\x00"))


def test_a_byte_order_mark_is_no_part_of_the_text(write):
    assert find(write(b"\xef\xbb\xbf" + GOOD.encode())).load().epochs == 7


@pytest.mark.parametrize("text", ["", "x = 1", "recipe = 3", "def recipe(): pass"])
def test_a_file_without_a_recipe_is_refused(write, text):
    path = write(text)
    with pytest.raises(RecipeError, match=r"defines no 'recipe = toolkit\.Recipe") as caught:
        find(path).load()
    assert path in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "match"),
    [
        ("\n\n1 / 0\n", 3, "ZeroDivisionError"),
        ("def f():\n    1 / 0\n\nf()\n", 2, "ZeroDivisionError"),
        ("import json\n\njson.loads('{')\n", 3, "JSONDecodeError"),
        ("\nimport no_such_module\n", 2, "ModuleNotFoundError"),
        ("x = 1\nx = = 2\n", 2, "SyntaxError"),
        ("if 1:\nx = 2\n", 2, "IndentationError"),
        ("x = 1\nimport sys\nsys.exit(5)\n", 3, "SystemExit"),
    ],
)
def test_a_file_that_fails_is_reported_with_its_line(write, text, line, match):
    path = write(text)
    with pytest.raises(RecipeError, match=match) as caught:
        find(path).load()
    assert f"{path}, line {line}:" in str(caught.value)


def test_a_failing_neighbour_is_reported_with_the_line_of_its_import(write):
    write("\n\n\n\n\nx = = 1\n", "neighbour_broken.py")
    path = write("\nimport neighbour_broken\n")
    with pytest.raises(RecipeError, match="SyntaxError") as caught:
        find(path).load()
    assert f"{path}, line 2:" in str(caught.value)
    assert "neighbour_broken.py" in str(caught.value)


def test_a_failed_file_can_be_loaded_again_after_repair(write):
    path = write("1 / 0")
    source = find(path)
    for _ in range(2):  # not half a module from the first try
        with pytest.raises(RecipeError, match="ZeroDivisionError"):
            source.load()
    write(GOOD)
    assert find(path).load().epochs == 7


def test_a_recipe_error_in_the_file_keeps_its_message(write):
    path = write(GOOD.replace("epochs=7", "epochs=0"))
    with pytest.raises(RecipeError, match=r"^recipe 'job', field 'epochs'"):
        find(path).load()


def test_the_hash_depends_on_text_and_overrides_only(write):
    sources = [
        find(write(GOOD)),
        find(write(GOOD + "\n")),
        find(write(GOOD), {"epochs": 3}),
        find(write(GOOD), {"seed": 3}),
        find(write(GOOD), {"epochs": 3, "seed": 3}),
    ]
    assert len({source.sha256 for source in sources}) == len(sources)
    assert find(write(GOOD, "other.py")).sha256 == sources[0].sha256
    swapped = RecipeSource(GOOD, "elsewhere", {"seed": 3, "epochs": 3})
    assert swapped.sha256 == sources[-1].sha256


def test_overrides_replace_fields_and_are_checked(write):
    path = write(GOOD)
    changed = find(path, {"epochs": 3, "seed": 5}).load()
    assert (changed.epochs, changed.seed, changed.name) == (3, 5, "job")
    assert find(path).load().epochs == 7
    with pytest.raises(RecipeError, match="field 'seed'"):
        find(path, {"seed": 2**31}).load()


def test_the_text_runs_once_and_knows_its_file(write):
    path = write(GOOD + "import pathlib\npathlib.Path(__file__ + '.ran').open('a').write('x')\n")
    source = find(path)
    assert source.load() is source.load()
    assert Path(path + ".ran").read_text() == "x"


def test_a_neighbour_can_be_imported_but_hides_no_package(write, monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    write("EPOCHS = 5\n", "neighbour_here.py")
    write("raise RuntimeError('hides the standard library')\n", "colorsys.py")
    text = "import colorsys, neighbour_here\n" + GOOD.replace("7", "neighbour_here.EPOCHS")
    assert find(write(text)).load().epochs == 5


def test_equal_texts_in_two_folders_are_two_recipes(write):
    text = GOOD.replace("epochs=7", "epochs=int(open(__file__ + '.txt').read())")
    paths = [write(text, "one/job.py"), write(text, "two/job.py")]
    for epochs, path in zip((3, 4), paths, strict=True):
        Path(path + ".txt").write_text(str(epochs))
    assert [find(path).load().epochs for path in paths] == [3, 4]


BUILDERS = """
{top}
from toolkit import Recipe
recipe = Recipe("job", dict, {builders})
"""


def builders(*names, top=""):
    given = ", ".join(f"{name}=dict" for name in names)
    return RecipeSource(BUILDERS.format(top=top, builders=given), "job.py")


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        (("keras", "torch"), "auto", ("tf", "torch")),
        (("keras", "torch"), "both", ("tf", "torch")),
        (("keras", "torch"), "torch", ("torch",)),
        (("keras",), "auto", ("tf",)),
        (("torch",), "auto", ("torch",)),
    ],
)
def test_frameworks_are_selected(names, wanted, expected):
    assert select_frameworks(builders(*names), wanted) == expected


@pytest.mark.parametrize(
    ("has", "wanted", "match"),
    [
        ("torch", "tf", r"no 'keras' builder, which TensorFlow needs.*--framework torch"),
        ("torch", "both", r"no 'keras' builder"),
        ("keras", "torch", r"no 'torch' builder, which PyTorch needs.*--framework tf"),
        ("torch", "pytorch", r"no framework 'pytorch'; did you mean 'torch'"),
    ],
)
def test_a_missing_builder_is_reported(has, wanted, match):
    with pytest.raises(UsageError, match=match):
        select_frameworks(builders(has), wanted)


def test_a_framework_at_the_top_of_the_file_allows_that_framework_only(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("")  # the real one is not needed, and must not stay
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "torch", None)  # so that what was there comes back
    del sys.modules["torch"]
    recipe = builders("keras", "torch", top="import torch")
    with pytest.raises(RecipeError, match="imports torch at its top"):
        select_frameworks(recipe, "both")
    assert select_frameworks(recipe, "torch") == ("torch",)
    again = builders("keras", "torch", top="from torch import __name__ as _  \nimport torch as t")
    with pytest.raises(RecipeError, match="imports torch at its top"):  # it is loaded already
        select_frameworks(again, "both")


def test_a_framework_that_the_caller_loaded_is_not_the_recipes(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    assert select_frameworks(builders("keras", "torch"), "both") == ("tf", "torch")
