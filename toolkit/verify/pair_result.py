"""What came of comparing two model files, for people and for programs."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from toolkit.verify.compare import Comparison
from toolkit.verify.distances import Place

_STATIC = ("int8", "int8-float", "16x8")
_HINT = (
    "  the inputs were made up, and may be beyond what B was calibrated for; give real ones with "
    "--samples FILE.npz"
)


@dataclass(frozen=True)
class PairResult:
    """How far B is from A.

    Attributes:
        precision: whose limits were taken.
        runtimes: of A and of B.
        samples: how many both were asked.
        made_up: whether the samples were made up.
        comparison: of the outputs.
        places: where each output differs most, in A's order; those that are equal are left out.
        manifests: differences of what the files say they mean.
        reasons: why the pair fails.
    """

    precision: str
    runtimes: tuple[str, str]
    samples: int
    made_up: bool
    comparison: Comparison
    places: tuple[Place, ...]
    manifests: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether B answers what A answers, and means it."""
        return not self.reasons

    def to_json(self) -> dict[str, Any]:
        """As plain data; an infinite signal to noise ratio is null."""
        found, snr = self.comparison, self.comparison.snr
        return {
            "passed": self.passed,
            "reasons": list(self.reasons),
            "precision": self.precision,
            "runtimes": list(self.runtimes),
            "samples": self.samples,
            "made_up": self.made_up,
            "error": found.error if math.isfinite(found.error) else None,
            "kept": found.kept,
            "snr": snr if math.isfinite(snr) else None,
            "differences": [_plain(place) for place in self.places],
            "manifests": list(self.manifests),
        }

    def lines(self) -> list[str]:
        """For people."""
        found = self.comparison
        kind = "made-up" if self.made_up else "given"
        return [
            f"A           {self.runtimes[0]}",
            f"B           {self.runtimes[1]}",
            f"samples     {self.samples} {kind}, limits of {self.precision}",
            f"error       {found.error:.1e} of the range, {found.snr:.1f} dB",
            f"decisions   {found.kept:.1%} kept",
            *(f"differs     {_told(place)}" for place in self.places),
            *(f"manifest    {difference}" for difference in self.manifests),
            "the two agree" if self.passed else "the two differ",
            *(f"  {reason}" for reason in self.reasons),
            *([_HINT] if self.reasons and self.made_up and self.precision in _STATIC else []),
        ]


def _told(place: Place) -> str:
    where = ", ".join(map(str, place.index))
    return (
        f"output {place.output!r} at [{where}] is {place.got:.9g} instead of "
        f"{place.expected:.9g}, {place.error:.1e} of the range away"
    )


def _plain(place: Place) -> dict[str, Any]:
    numbers = asdict(place) | {"index": list(place.index)}
    return {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in numbers.items()
    }
