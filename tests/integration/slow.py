"""A training that takes some seconds, as a command in the background that can be stopped."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.cluster_of_nodes import marked
from tests.train.real import RECIPE, weights
from toolkit.runs import Run
from toolkit.runs_folder import list_runs
from toolkit.train.reports import Trained

# Takes about five seconds, so that it can be stopped in the middle.
SLOW = """
import time
from toolkit import Callback

class Slow(Callback):
    def on_epoch_end(self, epoch, logs, model):
        time.sleep(PAUSE)
        return False

recipe = Recipe(
    name="small", data=data, keras=keras_model, torch=torch_model, loss="mse", metrics=("mae",),
    optimizer=Adam(0.01), schedule=Cosine(warmup_steps=3), epochs=100, global_batch=8,
    callbacks=lambda: [Slow()],
)
"""


def recipe_in(folder: Path, pause: float = 0.05) -> Path:
    path = folder / "small.py"
    path.write_text(RECIPE.replace("OPTIMIZER", "Adam(0.01)") + SLOW.replace("PAUSE", str(pause)))
    return path


def _heed_interrupts() -> None:
    """Whoever starts tests in the background may have had SIGINT ignored, which is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Command:
    """A `toolkit train` that runs in the background, its processes marked."""

    def __init__(self, *arguments: str | Path, **environment: str) -> None:
        self.mark = f"TOOLKIT_TEST_MARK={secrets.token_hex(8)}"
        name, value = self.mark.split("=")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "toolkit", "train", *map(str, arguments)],
            env=os.environ | environment | {name: value},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_heed_interrupts,
        )

    def wait_for_epochs(self, root: Path, frameworks: set[str], epochs: int = 10) -> Run:
        """Until every framework has trained some epochs."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.communicate()
            for run in list_runs(root):
                done = {r["framework"] for r in run.rows("metrics") if r["epoch"] >= epochs}
                if done >= frameworks:
                    return run
            time.sleep(0.05)
        raise AssertionError("no progress")

    def end(self, number: signal.Signals) -> str:
        """Send a signal, wait until nothing is left, and return the messages."""
        self.process.send_signal(number)
        self.process.wait(60)
        deadline = time.monotonic() + 30
        while (left := self._left(number)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left
        return "" if number == signal.SIGKILL else self.process.communicate(timeout=60)[1]

    def _left(self, number: signal.Signals) -> list[str]:
        names = []
        for each in marked(self.mark):
            with contextlib.suppress(OSError):
                names.append(Path(f"/proc/{each}/cmdline").read_text().strip("\0 "))
        # two idle agents of Ray notice only after a minute that their cluster was killed
        agents = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
        return [name for name in names if number != signal.SIGKILL or name not in agents]


def trained_weights(run: Run, framework: str) -> list[np.ndarray]:
    name = {"tf": "model.keras", "torch": "model.safetensors"}[framework]
    return weights(Trained({name: run.read(f"{framework}/{name}")}, b"", {}, {}))


def same_weights(run: Run, other: Run, framework: str) -> None:
    pairs = zip(trained_weights(run, framework), trained_weights(other, framework), strict=True)
    for one, two in pairs:
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)
