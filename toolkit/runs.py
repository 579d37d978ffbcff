"""The run directory: what training, export and verification leave, in plain files.

    runs/linear-20260102-030405-ab12/
      run.json             status, recipe hash, versions, seed, workers, timings, metrics, exports
      recipe.py            the recipe as it was trained
      metrics.jsonl        one row an epoch and framework
      ledger.jsonl         how often each sample was trained, where --ledger asked for it
      checkpoints/FW/      states to go on from
      tensorboard/FW/      TensorBoard events
      FW/                  the trained model (.keras, or .safetensors and .pt2) and golden.npz
      exports/             one file a framework, target and precision
      logs/                what workers and converters printed
      verification.json    what every file answered, and whether that is good enough
      bench.json           what every file costs, where `toolkit bench` measured it
      report.html          all of that for a person, where `toolkit report` wrote it

A model that was trained elsewhere has such a directory too: its status is 'adopted', its files are
in FW/, and instead of a recipe there is a card in run.json and the given samples in samples.npz.
Files are written atomically. None is read with pickle.
"""

import contextlib
import datetime
import fcntl
import json
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from toolkit.artifacts import Export, Golden
from toolkit.card import Card
from toolkit.errors import NotFoundError, UsageError
from toolkit.files import finite, make_directory, storage_errors, write_bytes, write_json
from toolkit.source import RecipeSource

FINISHED = ("trained", "adopted")
"""Status of a run whose models are there."""

_FACTS = {"status", "created", "exports"}  # what every run.json holds


class Run:
    """One run directory; every write is atomic."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()  # frameworks are trained in threads of their own

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @classmethod
    def create(cls, root: Path, name: str, source: RecipeSource, facts: Mapping[str, Any]) -> Self:
        """Make a new run directory under `root` and write its recipe and first run.json.

        Raises:
            StorageError: `root` cannot be written.
        """
        recipe = {
            "name": name,
            "origin": source.origin,
            "overrides": dict(source.overrides),
            "sha256": source.sha256,
        }
        run = cls._new(root, name, {"status": "training", **facts, "recipe": recipe})
        write_bytes(run.path / "recipe.py", source.text.encode())
        return run

    @classmethod
    def adopt(cls, root: Path, card: Card, facts: Mapping[str, Any]) -> Self:
        """Make the directory of a model that was trained elsewhere.

        Raises:
            StorageError: `root` cannot be written.
        """
        return cls._new(root, card.name, {"status": "adopting", **facts, "card": card.to_json()})

    @classmethod
    def _new(cls, root: Path, name: str, facts: Mapping[str, Any]) -> Self:
        now = datetime.datetime.now(datetime.UTC)
        run = cls(root / f"{name}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}")
        for folder in ("exports", "logs"):
            make_directory(run.path / folder)
        created = now.isoformat(timespec="microseconds")  # tells the latest of one second
        first = {"status": facts["status"], "created": created, **facts, "exports": []}
        write_json(run.path / "run.json", first)
        return run

    @property
    def name(self) -> str:
        """The directory's name, which is the run's."""
        return self.path.name

    @property
    def facts(self) -> dict[str, Any]:
        """The content of run.json.

        Raises:
            UsageError: the directory is not a run, or run.json is damaged.
        """
        try:
            facts = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.path} is not a usable run directory: {error}") from error
        if not isinstance(facts, dict) or not set(facts) >= _FACTS:
            raise UsageError(f"{self.path / 'run.json'} is damaged; train again")
        return facts

    def update(self, **facts: Any) -> None:
        """Replace top-level entries of run.json."""
        with self._lock:
            write_json(self.path / "run.json", self.facts | facts)

    def record_framework(self, framework: str, facts: Mapping[str, Any]) -> None:
        """Record that `framework` is trained, with its steps, timings and metrics."""
        with self._lock:
            self.update(frameworks=self.facts.get("frameworks", {}) | {framework: dict(facts)})

    def append_rows(self, table: str, framework: str, rows: list[dict[str, Any]]) -> None:
        """Append rows to `table`.jsonl, where they can be followed during training."""
        path = self.path / f"{table}.jsonl"
        with self._lock, storage_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(_lines([{"framework": framework} | row for row in rows]))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of `table`.jsonl; a line that was cut off in the middle is left out."""
        rows = []
        path = self.path / f"{table}.jsonl"
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            with contextlib.suppress(ValueError):
                rows.append(json.loads(line))
        return rows

    def rewind_rows(self, table: str, framework: str, step: int) -> None:
        """Drop what `framework` wrote to `table`.jsonl after optimizer step `step`."""
        with self._lock:
            rows = self.rows(table)
            kept = [row for row in rows if row["framework"] != framework or row["step"] <= step]
            if len(kept) < len(rows):
                write_bytes(self.path / f"{table}.jsonl", _lines(kept).encode())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training this run while the block runs.

        Raises:
            UsageError: one does.
        """
        path = self.path / ".lock"
        with storage_errors(path), path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    f"run {self.name} is being trained by another process; wait for it, or end it"
                ) from None
            yield

    @property
    def source(self) -> RecipeSource:
        """The recipe as it was trained.

        Raises:
            UsageError: recipe.py was changed since, or is missing, or there never was one.
        """
        recorded = self.facts.get("recipe")
        if recorded is None:
            raise UsageError(f"run {self.name} has no recipe: its model was trained elsewhere")
        try:
            text = self.read("recipe.py").decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"{self.path / 'recipe.py'} is damaged: {error}") from error
        source = RecipeSource(text, recorded["origin"], recorded["overrides"])
        if source.sha256 != recorded["sha256"]:
            raise UsageError(f"{self.path / 'recipe.py'} was changed after training; train again")
        return source

    @property
    def card(self) -> Card:
        """What its models mean: names, preprocessing, decision.

        Raises:
            UsageError: the recipe or the card is damaged.
        """
        card = self.facts.get("card")
        return Card.of(self.source.load()) if card is None else Card.from_json(card)

    @property
    def frameworks(self) -> tuple[str, ...]:
        """The frameworks that were trained, by name: which one ended first is chance."""
        return tuple(sorted(self.facts.get("frameworks", {})))

    def write(self, relative: str, content: bytes) -> Path:
        """Write a file below the run directory."""
        path = self.path / relative
        make_directory(path.parent)
        write_bytes(path, content)
        return path

    def replace(self, relative: str, files: Mapping[str, bytes]) -> Path:
        """Write one file (named '') or a folder of files, whole or not at all."""
        if list(files) == [""]:
            return self.write(relative, files[""])
        path = self.path / relative
        aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with storage_errors(path):
            try:
                for name, content in files.items():
                    make_directory((aside / name).parent)
                    write_bytes(aside / name, content)
                if path.exists():
                    shutil.rmtree(path)
                aside.rename(path)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        return path

    def files(self, relative: str) -> dict[str, bytes]:
        """Content of a file (named '') or of a folder's files by relative name.

        Raises:
            NotFoundError: it is not there.
        """
        path = self.path / relative
        if not path.is_dir():
            return {"": self.read(relative)}
        found = sorted(file for file in path.rglob("*") if file.is_file())
        return {file.relative_to(path).as_posix(): file.read_bytes() for file in found}

    def read(self, relative: str) -> bytes:
        """Read a file below the run directory.

        Raises:
            NotFoundError: it is not there.
        """
        try:
            return (self.path / relative).read_bytes()
        except OSError as error:
            raise NotFoundError(f"run {self.name} lacks {relative}: {error.strerror}") from error

    def golden(self, framework: str) -> Golden:
        """The golden vectors of one framework."""
        content = self.read(f"{framework}/golden.npz")
        try:
            return Golden.from_bytes(content)
        except Exception as error:
            raise UsageError(f"{self.name}/{framework}/golden.npz is damaged: {error}") from error

    @property
    def exports(self) -> list[Export]:
        """The exported files, in order of their making."""
        return [Export(**row) for row in self.facts["exports"]]

    def add_exports(self, exports: list[Export]) -> None:
        """Record exported files; a newer file of the same name replaces the older record."""
        with self._lock:
            rows = {export.file: export for export in [*self.exports, *exports]}
            self.update(exports=[asdict(export) for export in rows.values()])

    def drop_exports(self, files: Sequence[str]) -> None:
        """Forget exported files or folders, and delete them."""
        with self._lock:
            kept = [asdict(export) for export in self.exports if export.file not in files]
            self.update(exports=kept)
        for file in files:
            path = self.path / file
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    @property
    def verification(self) -> dict[str, Any] | None:
        """The content of verification.json, or None before the first verification.

        Raises:
            UsageError: it is damaged.
        """
        path = self.path / "verification.json"
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        except ValueError as error:
            raise UsageError(f"{path} is damaged: {error}; verify again") from error

    def log(self, name: str) -> Path:
        """Path of a log file."""
        return self.path / "logs" / f"{name}.log"


def _lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(finite(row), allow_nan=False) + "\n" for row in rows)
