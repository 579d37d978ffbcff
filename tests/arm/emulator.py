"""A Python of an aarch64 Debian on any host: what deploy/arm/setup.sh made, run by qemu-user.

Files of the host are seen under their own paths. `sys.executable` in there starts an emulated
Python too, so what starts child processes of itself works. Not emulated: limits of address space,
as qemu ignores RLIMIT_AS, and the speed of a board.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT, Result

RUNTIMES = {".tflite": "ai-edge-litert", ".onnx": "onnxruntime"}
"""The package that a model file needs, as setup.sh names its folder."""

SETUP = "deploy/arm/setup.sh"


@dataclass(frozen=True)
class ArmPython:
    """The emulated Python 3.11 and the packages that lie beside it.

    folder  what was given to setup.sh; it holds debian/, qemu/ and packages/
    """

    folder: Path

    @classmethod
    def find(cls) -> ArmPython:
        """In $ARM_FOLDER, else in .cache/arm; raises FileNotFoundError that names setup.sh."""
        folder = Path(os.environ.get("ARM_FOLDER", ROOT / ".cache/arm")).absolute()
        if not (folder / ".ready").is_file():
            raise FileNotFoundError(f"no aarch64 Debian in {folder}: run {SETUP} {folder}")
        return cls(folder)

    @property
    def executable(self) -> Path:
        """What runs a script, as any Python does."""
        return self.folder / "debian/usr/bin/python3"

    def run(
        self,
        *arguments: str | Path,
        packages: Sequence[str] = ("numpy",),
        path: Sequence[Path] = (),
        stdin: str | None = None,
        timeout: float = 120,
        **environment: str,
    ) -> Result:
        """Run `python3 ARGUMENTS`.

        Args:
            arguments: of Python: a script or zipapp and its own, or `-c`, or `-m`.
            packages: out of numpy, ai-edge-litert and onnxruntime: what the device has installed.
            path: further folders to import from, such as the repository's.
            stdin: what standard input says; None for nothing.
            timeout: in seconds; subprocess.TimeoutExpired after it.
            environment: variables; nothing of the host's own goes in, which may be tuned for it.
        """
        imported = [*path, *(self.folder / "packages" / name for name in packages)]
        done = subprocess.run(
            [self.executable, *map(str, arguments)],
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            env={
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": os.pathsep.join(map(str, imported)),
                "PYTHONDONTWRITEBYTECODE": "1",
                "OMP_NUM_THREADS": "1",
            }
            | environment,
            timeout=timeout,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def infer(self, model: Path, *arguments: str | Path) -> Result:
        """`python edge/infer.py MODEL ARGUMENTS --json` with the one runtime that MODEL needs."""
        packages = ("numpy", RUNTIMES[model.suffix])
        script = ROOT / "edge/infer.py"
        return self.run(script, model, *arguments, "--json", packages=packages)
