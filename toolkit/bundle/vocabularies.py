"""Vocabularies move out of the models' manifests into members that all models of a bundle share.

An exported file carries its vocabulary inline, since it must stand alone; that copy stays in the
file. In the bundle's manifest, which a device reads whole before all else, a step names a member
instead. A small vocabulary stays where it is, and so does one that lines of UTF-8 cannot hold, such
as characters with a line feed among them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edge.steps_text import read_vocabulary
from toolkit.bundle.build import Attachment, ModelPart

KIND = "vocabulary"
LEAST_BYTES = 4096
"""Size from which on a vocabulary gets a member."""


def moved(models: Sequence[ModelPart]) -> tuple[tuple[ModelPart, ...], tuple[Attachment, ...]]:
    """The models with large vocabularies named, and a member for each different one.

    Law: `edge.steps.compile` makes the same steps of what comes out, given the members, as of what
    went in.
    """
    names: dict[bytes, str] = {}
    parts = tuple(_named(model, names) for model in models)
    return parts, tuple(Attachment(name, KIND, content) for content, name in names.items())


def _named(model: ModelPart, names: dict[bytes, str]) -> ModelPart:
    """The model with its vocabularies named; `names` by content grows."""
    steps = {
        name: [_step(step, names) for step in of_input]
        for name, of_input in model.manifest.preprocessing.items()
    }
    return replace(model, manifest=replace(model.manifest, preprocessing=steps))


def _step(step: Mapping[str, Any], names: dict[bytes, str]) -> Mapping[str, Any]:
    content = _lines(step.get("vocabulary"))
    if len(content) < LEAST_BYTES:
        return step
    number = len(names) + 1
    name = names.setdefault(content, f"vocabulary-{number}.txt" if names else "vocabulary.txt")
    return {**step, "vocabulary": {"member": name}}


def _lines(vocabulary: Any) -> bytes:
    """A token a line, or nothing where that would not be read as the same tokens."""
    if not isinstance(vocabulary, list):
        return b""
    try:
        content = "".join(f"{token}\n" for token in vocabulary).encode()
        return content if read_vocabulary(content) == vocabulary else b""
    except ValueError:
        return b""
