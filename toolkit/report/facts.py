"""What a report tells, as frozen values: gathered by stage.py, drawn by page.py."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from toolkit.artifacts import Check, Export
from toolkit.report.confusion import Comparison
from toolkit.report.curves import Chart


@dataclass(frozen=True)
class Trained:
    """How one framework's training went; None where it was not recorded.

    Attributes:
        workers: data-parallel ones.
        threads: of each.
        attempts: 1 where nothing failed.
        seconds: of the steps.
        last: last value by name, such as 'val_loss'.
        notes: what the user was told.
    """

    framework: str
    workers: int | None = None
    threads: int | None = None
    attempts: int = 1
    steps: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    samples_per_second: float | None = None
    last: Mapping[str, float | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rung:
    """One precision that `--precision best` tried; `reason` is '' for the one that was chosen."""

    framework: str
    target: str
    precision: str
    bytes: int | None
    kept: float | None
    drop: float | None
    reason: str


@dataclass(frozen=True)
class Measured:
    """What `toolkit bench` found out about one file.

    Attributes:
        old: whether the file was exported anew since.
    """

    file: str
    framework: str
    target: str
    bytes: int
    p50_us: float | None = None
    p90_us: float | None = None
    p99_us: float | None = None
    samples_per_s: float | None = None
    memory_bytes: int | None = None
    threads: int | None = None
    batch: int | None = None
    metric: str = ""
    score: float | None = None
    agreement: float | None = None
    reason: str = ""
    old: bool = False


@dataclass(frozen=True)
class Verified:
    """The verification, as far as it is about the files that are there.

    Attributes:
        checks: of all files and runtimes.
        missing: files that were not checked, or were exported anew since.
        left_out: runtimes that could not be asked, with the reason.
        seconds: that it took, or None.
    """

    checks: tuple[Check, ...] = ()
    missing: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str, str], ...] = ()
    seconds: float | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def passed(self) -> bool | None:
        """Whether every file passed; None where some were not checked and none failed."""
        if self.failed:
            return False
        return True if self.checks and not self.missing else None


@dataclass(frozen=True)
class Facts:
    """All that a report tells.

    Attributes:
        name: of the model.
        run: name of the run.
        status: of its training.
        error: why the training did not come to its end, or ''.
        recipe: name of the recipe's file, or '' for a model that was trained elsewhere.
        data: counts and hash of the data.
        inputs: raw ones, such as 'image float32[8, 8, 1]'.
        task: how the first output is read: 'argmax', 'sign' or 'value'; '' where that is not known.
        settings: seed, epochs and global batch, as far as they were recorded.
        versions: of packages.
        machine: where the command ran.
        bundles: name and size.
        comparisons: golden vectors before and after export.
        unanswered: files that could not be asked, with the reason.
        hashes: what and SHA-256.
        commands: that make the run again.
    """

    name: str
    run: str
    status: str
    created: str
    error: str = ""
    recipe: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    task: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    trained: tuple[Trained, ...] = ()
    charts: tuple[Chart, ...] = ()
    exports: tuple[Export, ...] = ()
    verified: Verified = Verified()
    ladder: tuple[Rung, ...] = ()
    measured: tuple[Measured, ...] = ()
    bundles: tuple[tuple[str, int], ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    unanswered: tuple[tuple[str, str], ...] = ()
    labels: tuple[str, ...] | None = None
    hashes: tuple[tuple[str, str], ...] = ()
    commands: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain data, without the curves' points and the samples' pictures."""
        plain = asdict(self)
        for name in ("charts", "labels"):
            plain.pop(name)
        for comparison in plain["comparisons"]:
            comparison["samples"] = [sample["index"] for sample in comparison["samples"]]
        return plain | {"passed": self.verified.passed}
