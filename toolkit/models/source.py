"""A model as a value that can be sent to a process of its framework. Loads nothing itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.errors import NotFoundError, UsageError
from toolkit.source import RecipeSource

FRAMEWORK_OF = {
    "keras": "tf",
    "h5": "tf",
    "savedmodel": "tf",
    "function": "torch",
    "pt2": "torch",
    "onnx": "onnx",
    "tflite": "tflite",
}
"""Kind of a model -> the framework that loads it; a recipe's is the recipe's own."""


@dataclass(frozen=True)
class ModelSource:
    """A model, trained here or elsewhere.

    Attributes:
        kind: 'recipe', or one of `FRAMEWORK_OF`.
        framework: 'tf', 'torch', 'onnx' or 'tflite'.
        files: content by relative name: the only file of most kinds, a SavedModel's folder, the
            weights (.safetensors, or .pt for `weights_only`) of a function, or nothing.
        recipe: whose builder makes the model, for kind 'recipe'.
        function: 'module:function' or 'file.py:function' that returns a torch module, for kind
            'function'. It is the user's own program and runs with their rights.
    """

    kind: str
    framework: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    recipe: RecipeSource | None = None
    function: str = ""

    @property
    def content(self) -> bytes:
        """The only file's bytes."""
        (content,) = self.files.values()
        return content


def read(reference: str, weights: Path | None = None) -> ModelSource:
    """The model that a path, or the 'module:function' of a torch model, stands for.

    Args:
        reference: what the user wrote.
        weights: file with a torch function's weights.

    Raises:
        NotFoundError: there is no such file.
        UsageError: it is no model that the toolkit reads, or weights do not belong to it.
    """
    path = Path(reference)
    if not path.exists() and _is_function(reference):
        files = {} if weights is None else {weights.name: _content(weights)}
        return ModelSource("function", "torch", files, function=reference)
    if weights is not None:
        raise UsageError(f"--weights belongs to a torch 'module:function', not to {reference}")
    if (path / "1" / "saved_model.pb").is_file():  # a folder of versions
        path = path / "1"
    kind = _kind(path)
    files = _folder(path) if kind == "savedmodel" else {path.name: _content(path)}
    return ModelSource(kind, FRAMEWORK_OF[kind], files)


def _is_function(reference: str) -> bool:
    module, colon, name = reference.rpartition(":")
    return bool(module and colon) and name.isidentifier()


def _kind(path: Path) -> str:
    """What a file is, by its content where that tells.

    Raises:
        NotFoundError: it is not there.
        UsageError: it is none of the kinds.
    """
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return "savedmodel"
        if (path / "run.json").is_file():
            raise UsageError(
                f"{path} is a run; name it with --runs-dir {path.parent} --run {path.name}, or "
                f"give one of its files, such as those in {path / 'exports'}"
            )
        raise UsageError(
            f"{path} is a folder without saved_model.pb, so no SavedModel; give a model file"
        )
    head = _content(path)[:8]
    by_suffix = {".keras": "keras", ".h5": "h5", ".pt2": "pt2", ".onnx": "onnx"}
    if head[4:8] == b"TFL3":
        return "tflite"
    if head.startswith(b"\x89HDF"):
        return "h5"
    if path.suffix in by_suffix and path.suffix != ".h5":
        return by_suffix[path.suffix]
    raise UsageError(
        f"{path} is no model that can be read; give a .keras, .h5, .pt2, .onnx or .tflite file, "
        "a SavedModel's folder, or module:function of a torch model with --weights"
    )


def _folder(path: Path) -> dict[str, bytes]:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): _content(file) for file in files}


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error.strerror}; check the path") from error
    if not content:
        raise UsageError(f"{path} is empty; copy or export it again")
    return content
