"""The recipe `fashion`, on a few images that are made here; the real ones in test-soak."""

import gzip
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, run_toolkit
from toolkit.datasets import idx
from toolkit.errors import DataError
from toolkit.recipes import fashion
from toolkit.runs import Run

FLOOR = 0.92  # of accuracy, of every file
EXAMPLES = ROOT / "docs" / "examples"


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes(), 1))


def pictures(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images of ten patterns, one of which is the probe's trousers."""
    patterns = np.random.default_rng(0).integers(0, 2, (10, 7, 4)).repeat(4, 1).repeat(7, 2) * 255
    patterns[1] = fashion.TROUSERS[..., 0]
    labels = np.arange(count) % 10
    noise = random.integers(-60, 61, (count, 28, 28))
    return np.clip(patterns[labels] + noise, 0, 255).astype(np.uint8), labels.astype(np.uint8)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which such images are Fashion-MNIST."""
    root, random = tmp_path_factory.mktemp("data"), np.random.default_rng(1)
    (root / "fashion").mkdir()
    for name, count in (("train", 640), ("t10k", 200)):
        images, labels = pictures(count, random)
        write_idx(root / "fashion" / f"{name}-images-idx3-ubyte.gz", images)
        write_idx(root / "fashion" / f"{name}-labels-idx1-ubyte.gz", labels)
    return {"TOOLKIT_DATA_DIR": str(root)}


def trained(folder: Path, name: str | Path, place: dict[str, str], *options: str) -> Run:
    command, *rest = options
    done = run_toolkit(command, name, "--runs-dir", folder / "runs", *rest, "--json", **place)
    assert done.code == 0, done.err
    return Run(Path(done.json["run"]))


@pytest.fixture(scope="module")
def run(place, tmp_path_factory) -> Run:
    """One framework: the way is the same, and a soak test goes both."""
    return trained(
        *(tmp_path_factory.mktemp("fashion"), "fashion", place, "run", "--framework", "torch"),
        *("--workers", "1", "--epochs", "8", "--target", "onnx", "--precision", "fp32"),
    )


def test_from_images_to_a_file(run) -> None:
    assert run.verification["checks"][0]["after"] > 0.95


@pytest.mark.soak
def test_on_to_new_classes(run, place, tmp_path) -> None:
    few = transfer(tmp_path, run, place, "torch")
    assert changed(run, few, "torch") == {"head.weight", "head.bias"}
    facts = few.facts["frameworks"]["torch"]
    assert facts["val_accuracy"] > 0.8
    assert any("new: head.bias, head.weight" in note for note in facts["notes"])


def transfer(folder: Path, backbone: Run, place: dict[str, str], framework: str) -> Run:
    """The run of the documentation's second recipe with a trained model's weights."""
    for name in ("fashion_backbone.py", "fashion_few.py"):
        shutil.copy(EXAMPLES / name, folder)
    (folder / "backbone").symlink_to(backbone.path)
    few = folder / "fashion_few.py"
    return trained(folder, few, place, "train", "--framework", framework, "--workers", "1")


def changed(before: Run, after: Run, framework: str) -> set[str]:
    """Names of the arrays that differ in a bit, statistics of batch normalisation too."""
    one, other = arrays(before, framework), arrays(after, framework)
    assert set(one) == set(other)
    return {name for name in one if not np.array_equal(one[name], other[name])}


def arrays(run: Run, framework: str) -> dict[str, np.ndarray]:
    if framework == "torch":
        from safetensors.numpy import load

        return load(run.read("torch/model.safetensors"))
    import h5py

    archive = zipfile.ZipFile(io.BytesIO(run.read("tf/model.keras")))
    found = {}
    with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
        file.visititems(
            lambda name, item: found.update({name: item[...]}) if hasattr(item, "dtype") else None
        )
    return {name: array for name, array in found.items() if name.startswith("layers/")}


def test_the_probe_is_an_image_like_the_others() -> None:
    assert fashion.TROUSERS.shape == (28, 28, 1)
    assert (fashion.TROUSERS > 0).mean() > 0.2
    assert fashion.recipe.probe.expected == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "is missing"),
        (b"no gzip", "Not a gzipped file"),
        (gzip.compress(b""), "no idx file of bytes"),
        (gzip.compress(bytes([0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0])), "no idx file of bytes"),
        (gzip.compress(bytes([0, 0, 8, 1, 0, 0])), "no idx file of bytes"),
        (gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2])), r"shape \(3,\)"),
        (gzip.compress(bytes(500))[:-9], "ended before"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, problem) -> None:
    file = tmp_path / "images.gz"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=f"images.gz.*{problem}.*--force"):
        idx.read(file)


def test_arrays_of_any_shape_are_read(tmp_path) -> None:
    for shape in ((5,), (2, 3), (2, 3, 4), (0, 3)):
        array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        write_idx(tmp_path / "x.gz", array)
        np.testing.assert_array_equal(idx.read(tmp_path / "x.gz"), array)


@pytest.mark.soak
def test_the_real_images_in_both_frameworks(tmp_path) -> None:
    place = {"TOOLKIT_DATA_DIR": str(tmp_path)}
    assert run_toolkit("data", "fetch", "fashion", **place).code == 0
    run = trained(
        *(tmp_path, "fashion", place, "run", "--workers", "2"),
        *("--precision", "fp32", "--precision", "fp16"),
        *("--precision", "dynamic", "--precision", "int8"),
    )
    assert min(check["after"] for check in run.verification["checks"]) > FLOOR
    shutil.copy(EXAMPLES / "fashion_backbone.py", tmp_path)
    backbone = trained(tmp_path, tmp_path / "fashion_backbone.py", place, "train", "--workers", "2")
    few = transfer(tmp_path, backbone, place, "both")
    assert changed(backbone, few, "torch") == {"head.weight", "head.bias"}
    assert changed(backbone, few, "tf") == {"layers/dense/vars/0", "layers/dense/vars/1"}
    assert min(few.facts["frameworks"][name]["val_accuracy"] for name in ("tf", "torch")) > 0.5
