"""How close an exported file must be to its model, by precision."""

from dataclasses import dataclass, replace

from toolkit.errors import UsageError


@dataclass(frozen=True)
class Gate:
    """What a file must keep to.

    Attributes:
        error: greatest difference in units of the reference's range, or None for no limit.
        agreement: least share of unchanged decisions, 0 to 1.
        drop: greatest loss of the task's metric, as `toolkit.verify.metric` measures it.
        column: greatest RMS error of a column that means something of its own, in units of that
            column's standard deviation.
        whole: the same for the output that decides, all columns together; None for no limit.
        rounding: error relative to a column's greatest value that the precision itself makes.
        strict: whether a drop fails that may be chance.
    """

    error: float | None
    agreement: float
    drop: float
    column: float = 1e-2
    whole: float | None = None
    rounding: float = 1e-6
    strict: bool = False

    def tie(self, count: int) -> float:
        """Margin, in units of the reference's range, below which a decision is a tie.

        Args:
            count: of the samples. Where one of them is more than `agreement` leaves, each changed
                decision must be explained, and is where the limit of the error explains it.
        """
        if self.error is None:
            return 0.0
        few = count * (1 - self.agreement) < 1
        return self.error if few else min(self.error, _TIE)


_TIE = 1e-4  # nothing computes closer than that in float32
_INT8 = Gate(None, 0.95, 0.01, column=0.2, whole=0.5, rounding=1 / 128)
_GATES = {
    "fp32": Gate(1e-4, 0.999, 0.001),
    "fp16": Gate(1e-2, 0.99, 0.005, rounding=1e-3),
    "16x8": replace(_INT8, agreement=0.99, drop=0.005),
    "int8": _INT8,
    "int8-float": _INT8,
    "dynamic": _INT8,
}
_LOOSER = tuple(_GATES)  # each as loose as the one before, or looser


def gate_for(
    precision: str, min_agreement: float | None = None, max_drop: float | None = None
) -> Gate:
    """The gate of a precision, with the user's own limits where there are some.

    Args:
        precision: of the file; one of `toolkit.artifacts.PRECISIONS`.
        min_agreement: replaces the least share of unchanged decisions.
        max_drop: replaces the greatest loss of the metric; then chance is no excuse.

    Raises:
        UsageError: the precision is unknown.
    """
    if precision not in _GATES:
        known = ", ".join(_GATES)
        raise UsageError(f"there is no gate for precision {precision!r}; there is {known}")
    gate = _GATES[precision]
    if min_agreement is not None:
        gate = replace(gate, agreement=min_agreement)
    if max_drop is not None:
        gate = replace(gate, drop=max_drop, strict=True)
    return gate


def loosest(*precisions: str) -> str:
    """The precision with the loosest gate; 'fp32' where none is known."""
    known = [name for name in precisions if name in _GATES]
    return max(known, key=_LOOSER.index, default="fp32")
