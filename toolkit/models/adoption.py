"""What a user says about a model from elsewhere, read and checked."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge import steps
from edge.errors import InputError
from edge.manifest import Manifest
from toolkit.card import Card
from toolkit.errors import NotFoundError, UsageError
from toolkit.hosts import Host
from toolkit.models.adopt import Given, adopt
from toolkit.models.describe import inputs_of
from toolkit.models.samples import make_up, parse_signature, read_samples
from toolkit.models.source import ModelSource, read
from toolkit.runs import Run


@dataclass(frozen=True)
class Adoption:
    """A model and what comes with it, as the command line gives it.

    Attributes:
        model: path, or 'module:function'.
        name: of the exported files, or None for the file's own.
        weights: of a torch function, or None.
        samples: .npz or .npy file, or None.
        signature: text of the inputs, or None.
        labels: file with a class name a line, or None.
        decision: 'argmax', 'sign' or 'value', or None for the one that fits.
        preprocessing: JSON file of steps, or None.
        postprocessing: JSON file of a list of steps, or None.
    """

    model: str
    name: str | None = None
    weights: Path | None = None
    samples: Path | None = None
    signature: str | None = None
    labels: Path | None = None
    decision: str | None = None
    preprocessing: Path | None = None
    postprocessing: Path | None = None

    def card(self, manifest: Manifest | None) -> Card:
        """What the model means; a manifest in the file says what the user does not.

        Raises:
            NotFoundError: a file is not there.
            UsageError: one holds something else.
        """
        labels = _labels(self.labels) if self.labels else manifest.labels if manifest else None
        fallback = manifest.decision if manifest else "argmax" if labels else "value"
        stem = Path(self.model.rpartition(":")[2] if ":" in self.model else self.model).stem
        name = self.name or (manifest.name if manifest else stem)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
            raise UsageError(
                f"{name!r} cannot name files; give letters, digits, '-' and '_' with --name"
            )
        given: Any = manifest.preprocessing if manifest else ()
        after: Any = manifest.postprocessing if manifest else ()
        return Card(
            name=name,
            preprocessing=_steps(self.preprocessing) if self.preprocessing else given,
            decision=self.decision or fallback,
            labels=labels,
            metrics=("accuracy",) if (self.decision or fallback) != "value" else ("mae",),
            postprocessing=_listed(self.postprocessing) if self.postprocessing else after,
        )

    def carry_out(self, root: Path, children: Host, logs: Path) -> Run:
        """Make the run directory.

        Args:
            root: folder of all runs.
            children: where the model is opened.
            logs: folder for what that prints.

        Raises:
            UsageError: the model, the samples or what is said about them do not fit.
        """
        model = read(self.model, self.weights)
        manifest = _manifest(model, children, logs)
        card = self.card(manifest)
        return adopt(root, model, card, self._given(model, card, children, logs), children)

    def _given(self, model: ModelSource, card: Card, children: Host, logs: Path) -> Given:
        if self.samples is not None:
            return read_samples(self.samples, card.input_name, card)
        named = card.preprocessing
        every = named.values() if isinstance(named, Mapping) else [named]
        if any(map(steps.takes_text, every)):
            raise UsageError(
                f"{self.model} takes texts, which cannot be made up; give some with --samples "
                "FILE.npz, written with numpy.savez(path, INPUT=texts, targets=array)"
            )
        if self.signature is not None:
            return make_up(*parse_signature(self.signature))
        if model.kind == "function":
            raise UsageError(
                f"{self.model} does not say what the model takes; give --samples FILE.npz, or "
                "--signature 'image:float32[n,28,28,1]'"
            )
        inputs = children.submit(inputs_of, model, log=logs / "describe.log").result()
        return make_up(inputs)


def _manifest(model: ModelSource, children: Host, logs: Path) -> Manifest | None:
    """The one that an exported file carries."""
    if model.kind not in ("onnx", "tflite"):
        return None
    from toolkit.models.describe import manifest_of

    found: Manifest | None = children.submit(manifest_of, model, log=logs / "manifest.log").result()
    return found


def _labels(path: Path) -> tuple[str, ...]:
    lines = [line.strip() for line in _text(path).splitlines()]
    labels = tuple(line for line in lines if line)
    if not labels:
        raise UsageError(f"{path} has no labels; write one a line")
    return labels


def _steps(path: Path) -> Any:
    try:
        value = json.loads(_text(path))
        for of_input in value.values() if isinstance(value, dict) else [value]:
            steps.check(of_input)
    except (ValueError, InputError) as error:
        raise UsageError(
            f"{path}: {error}; write a JSON list of steps as in edge/steps.py"
        ) from error
    return value


def _listed(path: Path) -> Any:
    value = _steps(path)
    if not isinstance(value, list):
        raise UsageError(f"{path}: postprocessing is of the first output; write one list of steps")
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFoundError(f"{path} cannot be read: {error}") from error
