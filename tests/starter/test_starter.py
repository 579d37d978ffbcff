"""toolkit init: what it finds in data, what it refuses, and that its recipes load and train."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, run_toolkit
from toolkit import source
from toolkit.data.load import Dataset, load
from toolkit.errors import UsageError
from toolkit.starter import choices
from toolkit.starter.survey import draft
from toolkit.starter.wish import Wish

GENERATOR = np.random.default_rng(3)
BUILD = """
import sys
from toolkit import builders, source
from toolkit.data.load import load
recipe = source.find(sys.argv[1]).load()
data = load(recipe)
example = {name: array[:2] for name, array in data.train.take(slice(0, 4)).inputs.items()}
if sys.argv[2] == "tf":
    print(builders.keras_model(recipe, example)(*example.values()).numpy().shape)
else:
    import torch
    values = [torch.from_numpy(array.copy()) for array in example.values()]
    print(tuple(builders.torch_model(recipe)(*values).shape))
"""


def wish(data: Path, **given) -> Wish:
    fields = dict.fromkeys(("kind", "target", "text", "task"))
    places = {"name": "mine", "output": data.parent / "mine.py", "frameworks": ("tf", "torch")}
    return Wish(data=data, **(fields | places | given))


def loaded(wanted: Wish) -> tuple[Dataset, str]:
    """The data of the recipe that is written for a wish, and its text."""
    made = draft(wanted)
    wanted.output.write_text(made.text, encoding="utf-8")
    assert_tidy(wanted.output)
    data = load(source.find(str(wanted.output)).load())
    assert isinstance(data, Dataset)
    return data, made.text


def assert_tidy(recipe: Path) -> None:
    """Both of ruff's judgements, by this project's own rules."""
    ruff = Path(sys.executable).with_name("ruff")
    for command in (("check",), ("format", "--diff")):
        done = subprocess.run(
            [ruff, *command, "--config", ROOT / "pyproject.toml", recipe.name],
            capture_output=True,
            cwd=recipe.parent,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode()


def flowers(folder: Path, separator: str = ",", rows: int = 60) -> Path:
    """Two columns that tell three species, a row number, a remark, a constant and gaps."""
    lines = [["no", "petal length", "petal width", "half", "year", "remark", "species"]]
    for row in range(rows):
        place = row % 3
        values = GENERATOR.normal(place * 2, 0.3, 2).round(3).tolist()
        half = 0.5 * row if row % 2 else ""
        lines.append([row + 1, *values, half, 2020, "fine", ("setosa", "versi", "virgi")[place]])
    lines[4][1] = "n/a"
    lines[9][6] = ""
    path = folder / "flowers.csv"
    text = "\n".join(separator.join(map(str, line)) for line in lines)
    path.write_text("\ufeff" + text + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_is_looked_at_cleaned_and_standardised(tmp_path, separator):
    wanted = wish(flowers(tmp_path, separator), target="species")
    made = draft(wanted)
    assert made.task == "classification"
    assert made.facts["features"] == ["petal length", "petal width"]
    assert made.facts["dropped"] == 2
    told = "\n".join(made.notes)
    for words in (
        "'no' left out: it numbers the rows",
        "'half' left out: it is missing in 50% of the rows",
        "'year' left out: it is 2020 in every row",
        "'remark' left out: it holds text",
        "2 rows of 60 left out, the first in line 5",
    ):
        assert words in told
    data, _ = loaded(wanted)
    inputs = data.train.take(slice(None)).inputs["features"]
    assert (len(data.train), len(data.validation)) == (46, 12)
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(inputs.std(axis=0), 1, atol=1e-3)


def test_numbers_are_predicted_in_their_own_unit(tmp_path):
    path = tmp_path / "houses.csv"
    area = GENERATOR.uniform(30, 200, 80)
    rows = "".join(f"{a:.1f},{3000 * a:.0f}\n" for a in area)
    path.write_text("area,price\n" + rows)
    data, text = loaded(wish(path, target="price"))
    assert 'loss="mse"' in text
    assert "Rescaling(TARGET_STD, TARGET_MEAN)" in text
    assert data.train.take(slice(None)).targets.max() > 100_000
    with pytest.raises(UsageError, match=r"class '.*' has a single one of the rows"):
        draft(wish(path, target="price", task="classification"))


@pytest.mark.parametrize(
    ("text", "target", "words"),
    [
        ("a,b\n1,2\n", "c", ["no column 'c'", "there is: a, b"]),
        ("a,b\n1,2\n3\n", "b", ["line 3", "has 1 cells, but line 1 names 2 columns"]),
        ("a,a\n1,2\n", "a", ["two columns are named 'a'"]),
        ("1.5,2.5\n1,2\n", "a", ["line 1: holds numbers", "must name the columns"]),
        ("a,b\n", "b", ["no rows below its first line"]),
        ("a,b\n" + "1,x\n2,y\n" * 3, "b", ["6 usable rows", "at least 10"]),
        ("a,b\n" + "".join(f"{n**2},x\n" for n in range(20)), "b", ["one class only, 'x'"]),
        ("a,b\n" + "".join(f"{n**2},x\n" for n in range(20)) + "7,y\n", "b", ["'y' has a single"]),
        (
            "a,b\n" + "".join(f"{n**2},{n % 2}\n" for n in range(20)) + "1o,1\n",
            "b",
            ["line 22", "'1o'"],
        ),
        ("a;b\n" + "".join(f"{n},5;{n % 2}\n" for n in range(20)), "b", ["decimal comma"]),
        ("a,b\n" + "x,1\n" * 20, "b", ["no column of numbers", "--kind text"]),
        ("a,b\n" + '"x,1\n' * 20, "b", ["line 3", "correct that line"]),
    ],
)
def test_wrong_tables_are_refused_with_their_line(tmp_path, text, target, words):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        draft(wish(path, target=target))
    assert str(path) in str(refused.value)
    for word in words:
        assert word in str(refused.value)


def test_other_encodings_are_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("a,b\n1,x\n2,gr\u00fcn\n".encode("latin-1"))
    with pytest.raises(UsageError, match="line 3: is not UTF-8"):
        draft(wish(path, target="b"))


def photos(folder: Path, size=(24, 20), count=12) -> Path:
    image = pytest.importorskip("PIL.Image")
    for number in range(count):
        place = folder / "photos" / ("dark", "light")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        level = 40 + 150 * (number % 2)
        pixels = GENERATOR.integers(level - 30, level + 30, (size[1], size[0], 3), np.uint8)
        image.fromarray(pixels).save(place / f"{number}.png")
    return folder / "photos"


def assert_builds(recipe: Path, shape: str) -> None:
    """Both models give this shape for two samples; each in a child process of its framework."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD, recipe, framework],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for framework in ("tf", "torch")
    ]
    for child in children:
        out, err = child.communicate(timeout=120)
        assert child.returncode == 0, err
        assert out.strip().splitlines()[-1] == shape


def test_images_in_folders_become_data_and_models(tmp_path):
    wanted = wish(photos(tmp_path))
    data, text = loaded(wanted)
    assert 'LABELS = ("dark", "light")' in text
    assert data.raw["image"].shape == (2, 20, 24, 3)
    assert data.raw["image"].dtype == np.uint8
    assert data.train.take(slice(None)).inputs["image"].max() <= 1
    assert_builds(wanted.output, "(2, 2)")


def test_images_that_are_large_or_damaged(tmp_path, monkeypatch):
    folder = photos(tmp_path, size=(100, 90))
    made = draft(wish(folder))
    assert made.facts["shape"] == [64, 64, 3]
    assert "resized to 64 x 64" in made.notes[-1]
    monkeypatch.setattr("toolkit.starter.pictures._MEMORY", 0)
    wanted = wish(folder)
    wanted.output.write_text(draft(wanted).text)
    assert_tidy(wanted.output)
    stream = source.find(str(wanted.output)).load().data().train
    pairs = stream.read()
    assert len(pairs) == 10
    assert pairs[0][0].shape == (64, 64, 3)
    (folder / "dark" / "x.jpg").write_text("no image")
    with pytest.raises(UsageError, match=r"x\.jpg is no image"):
        draft(wanted)


@pytest.mark.parametrize(
    ("arrays", "shape", "words"),
    [
        ({"inputs": (40, 5), "targets": "int"}, (5,), ["SHAPE[0], 32"]),
        ({"x": (40, 9, 9), "y": "text"}, (9, 9, 1), ["np.searchsorted(CLASSES", "Conv2D"]),
        ({"x": (40, 3, 16, 16), "y": "from one"}, (16, 16, 3), [".transpose(0, 2, 3, 1)"]),
        ({"x": (40, 30, 3), "y": "float"}, (30, 3), ["Flatten", "TARGET_STD"]),
        ({"x": (40,), "y": "one-hot"}, (1,), [".argmax(axis=1)"]),
        ({"x": (40, 200), "y": "column"}, (200,), ["MEAN, STD = "]),
        ({"x": (40, 5), "y": "codes"}, (5,), ['"12345670", "12345671", "12345672", "12345673"']),
    ],
)
def test_arrays_of_many_shapes(tmp_path, arrays, shape, words):
    (name, size), (target, kind) = arrays.items()
    numbers = np.arange(40) % 4
    targets = {
        "int": numbers,
        "text": np.array(list("abcd"))[numbers],
        "from one": numbers + 1,
        "codes": numbers + 12345670,
        "float": GENERATOR.normal(100, 5, 40),
        "one-hot": np.eye(4)[numbers],
        "column": GENERATOR.normal(0, 1, (40, 1)).astype(np.float32),
    }[kind]
    path = tmp_path / "a.npz"
    np.savez(path, **{name: GENERATOR.normal(3, 2, size), target: targets})
    data, text = loaded(wish(path))
    for word in words:
        assert word in text
    assert next(iter(data.train.take(slice(0, 1)).inputs.values())).shape[1:] == shape


def test_wrong_arrays_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    for arrays, words in (
        ({"x": np.ones(20)}, "no array 'targets'"),
        ({"x": np.ones(20), "y": np.ones(19)}, "has 20 samples"),
        ({"x": np.full(20, np.nan), "y": np.arange(20) % 2}, "sample 0 holds NaN"),
        ({"a": np.ones(20), "b": np.ones(20), "y": np.ones(20)}, "which array holds the inputs"),
        ({"x": np.ones(20), "y": np.array([None] * 20)}, "no .npz file of plain arrays"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(UsageError, match=words):
            draft(wish(path))


def reviews(folder: Path) -> Path:
    path = folder / "reviews.csv"
    words = ("a splendid evening, happy all along", "a dreary evening, bored all along")
    rows = "".join(f'"{words[n % 2]} number {n}",{("good", "bad")[n % 2]}\n' for n in range(30))
    path.write_text("review,opinion\n" + rows + ",good\n")
    return path


def test_texts_of_a_table_and_of_folders(tmp_path):
    wanted = wish(reviews(tmp_path), target="opinion")
    data, text = loaded(wanted)
    assert "splendid" in text
    ids = data.train.take(slice(0, 1)).inputs["text"]
    assert ids.dtype == np.int32
    assert_builds(wanted.output, "(2, 2)")
    for number in range(20):
        place = tmp_path / "mails" / ("ham", "spam")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.txt").write_text(f"{place.name} it is, and {place.name} it stays")
    data, text = loaded(wish(tmp_path / "mails"))
    assert 'LABELS = ("ham", "spam")' in text
    assert len(data.validation) == 4


@pytest.mark.parametrize("samples", [8, 100, 3_000, 40_000, 10**6])
def test_training_is_neither_short_nor_endless(samples):
    size = choices.size_of(samples)
    steps = size.epochs * -(-samples // size.batch)
    assert 100 <= steps <= 20_000
    assert size.epochs >= 5


@pytest.mark.parametrize("framework", ["torch", pytest.param("tf", marks=pytest.mark.soak)])
def test_the_recipe_of_a_table_trains(tmp_path, framework):
    flowers(tmp_path)
    options = ("--data", "flowers.csv", "--target", "species", "--name", "iris", "--json")
    made = run_toolkit("init", *options, cwd=tmp_path)
    assert made.code == 0, made.err
    assert made.json["recipe"] == "iris.py"
    options = ("--framework", framework, "--epochs", "1", "--workers", "1", "--json")
    trained = run_toolkit("train", "iris.py", *options, cwd=tmp_path)
    assert trained.code == 0, trained.err
    assert set(trained.json["frameworks"]) == {framework}


def test_a_recipe_is_never_written_over(tmp_path):
    flowers(tmp_path)
    (tmp_path / "flowers.py").write_text("mine")
    options = ("init", "--data", "flowers.csv", "--target", "species", "--framework", "torch")
    refused = run_toolkit(*options, cwd=tmp_path)
    assert refused.code == 2
    assert "give --force" in refused.err
    assert (tmp_path / "flowers.py").read_text() == "mine"
    assert run_toolkit(*options, "--force", cwd=tmp_path).code == 0
    assert "keras" not in (tmp_path / "flowers.py").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ["--data is missing"]),
        (("--data", "no.csv"), ["no file or folder no.csv"]),
        (("--data", "flowers.csv"), ["--target is missing", "petal length"]),
        (("--data", "flowers.csv", "--target", "speces"), ["did you mean 'species'"]),
        (("--data", "flowers.csv", "--target", "species", "--name", "a b"), ["--name 'a b'"]),
        (("--data", "empty"), ["no images or .txt files in folders"]),
        (("--data", "flowers.csv", "--kind", "cvs"), ["did you mean 'csv'"]),
    ],
)
def test_missing_and_wrong_flags_are_named(tmp_path, options, words):
    flowers(tmp_path)
    (tmp_path / "empty").mkdir()
    result = run_toolkit("init", *options, cwd=tmp_path)
    assert result.code == 2
    for word in words:
        assert word in result.err
    assert not list(tmp_path.glob("*.py"))


def test_on_a_terminal_it_asks(tmp_path):
    pty = pytest.importorskip("pty")
    flowers(tmp_path)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "toolkit", "init"]
    asked = subprocess.Popen(command, stdin=theirs, stderr=subprocess.PIPE, cwd=tmp_path, text=True)
    os.write(ours, b"flowers.csv\n\n\n")
    _, told = asked.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert asked.returncode == 0, told
    assert "Column to predict [species]" in told
    assert "wrote flowers.py" in told
    assert json.dumps("species") in (tmp_path / "flowers.py").read_text()
