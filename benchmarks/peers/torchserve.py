"""The real TorchServe, as the tests start it, with an archive that `toolkit export` made."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.load import Question, pinned
from tests.export.torchserve import missing
from tests.export.torchserve import serving as started

__all__ = ["missing", "serving"]


@contextmanager
def serving(archive: Path, model: str, body: bytes) -> Iterator[tuple[str, Question]]:
    """TorchServe with one worker; its address, and the request that asks it."""
    with TemporaryDirectory() as folder, started(archive, Path(folder), model, pinned(0)) as server:
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {server.key()}",
        }
        base = f"http://127.0.0.1:{server.ports[8080]}"
        yield base, Question(f"/predictions/{model}", body, headers)
