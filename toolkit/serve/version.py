"""One version of a model, loaded: what clients give, what they get, and how it is proven."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge import steps
from edge.answer import Answers, interpret, prepare
from edge.model import Model
from edge.raw import takes_text
from edge.tensor import Tensor

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Proof:
    """What is known about a model's answers.

    Attributes:
        verified: whether it passed `toolkit verify` when it was bundled.
        reason: why it is not, or ''.
        checks: rows of that verification, as the bundle has them.
        signed_by: ids of the trusted keys whose signatures hold.
        samples: golden vectors that were replayed here, 0 if none.
        error: the greatest difference found here, in units of the outputs' range; None if unknown.
        sha256: of the file that was opened.
    """

    verified: bool
    reason: str = ""
    checks: tuple[Mapping[str, Any], ...] = ()
    signed_by: tuple[str, ...] = ()
    samples: int = 0
    error: float | None = None
    sha256: str = ""


@dataclass(frozen=True)
class Spec:
    """One input as clients give it, before preprocessing.

    Attributes:
        name: of the input.
        shape: with the batch as axis 0; None where a size is free.
        dtype: numpy's name such as 'float32', or 'str' for texts.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class Version:
    """A loaded model. `run` is for one thread at a time, all else for any.

    Attributes:
        name: of the model, as in the URL.
        number: of the version, 1 or more.
        model: opened by its runtime.
        proof: what is known about its answers.
        golden: golden vectors by name ('inputs.NAME', 'outputs.NAME'), or None.
        inputs: what clients give by default, raw.
        prepared: what they give where they ask for no preprocessing.
        outputs: what the model answers.
        text: the version as its maker counts it, such as '1.2.0', or ''.
        inline: whether a call is so short that a thread of its own costs more.
        seconds: that a call takes with one sample or one fixed batch, 0 if unknown.
        most: samples of one call from which on each of them takes longer, 0 if unknown.
        joins: whether requests may be run together: every output has one row a sample, which
            does not depend on the others.
        threads: of the runtime for one call.
        heads: what the JSON of binary requests said of late; see `oip.read_infer`.
    """

    def __init__(
        self,
        name: str,
        number: int,
        model: Model,
        proof: Proof,
        golden: Mapping[str, Array] | None = None,
        *,
        text: str = "",
        threads: int = 1,
    ) -> None:
        self.name, self.number, self.model, self.proof = name, number, model, proof
        self.golden, self.text, self.threads, self.inline = golden, text, threads, False
        self.seconds, self.most, self.joins = 0.0, 0, True
        self.heads: dict[bytes, Any] = {}
        self.prepared = tuple(Spec(t.name, t.shape, t.dtype) for t in model.inputs)
        self.inputs = tuple(self._raw(tensor) for tensor in model.inputs)
        self.outputs: tuple[Tensor, ...] = model.outputs

    @property
    def batch(self) -> int | None:
        """The batch size that the file fixes, or None."""
        shapes = [tensor.shape for tensor in self.model.inputs if tensor.shape]
        return shapes[0][0] if shapes else None

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The names of the classes, or None."""
        return self.model.manifest.labels if self.model.manifest else None

    @property
    def decision(self) -> str:
        """How the first output is read: 'argmax', 'sign' or 'value'."""
        return self.model.manifest.decision if self.model.manifest else "value"

    def prepare(self, raw: Arrays, *, preprocess: bool = True) -> dict[str, Array]:
        """Check raw arrays [n, ...] by input name and preprocess them.

        Raises:
            edge.errors.InputError: names the input that does not fit.
        """
        return prepare(self.model, raw, preprocess=preprocess)

    def run(self, prepared: Arrays) -> dict[str, Array]:
        """Run the model on prepared arrays [n, ...]; outputs [n, ...] by name.

        Raises:
            edge.errors.EdgeError: InputError if they do not fit, otherwise the runtime failed.
        """
        return self.model.predict(prepared)

    def interpret(self, outputs: Arrays) -> Answers:
        """Decision and labels of outputs [n, ...].

        Raises:
            edge.errors.EdgeError: they cannot be decided about.
        """
        return interpret(self.model, outputs)

    def _raw(self, tensor: Tensor) -> Spec:
        manifest = self.model.manifest
        todo = manifest.preprocessing.get(tensor.name, ()) if manifest else ()
        if takes_text(self.model, tensor.name):
            return Spec(tensor.name, (tensor.shape[0],), "str")
        shape = (tensor.shape[0], *steps.raw_shape(todo, tensor.shape[1:])) if tensor.shape else ()
        golden = (self.golden or {}).get(f"inputs.{tensor.name}")
        dtype = golden.dtype.name if golden is not None and todo else tensor.dtype
        return Spec(tensor.name, shape, dtype)
