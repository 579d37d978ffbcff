"""What leaves a run: bundles for devices, a server, a report for people."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from toolkit import pipeline
from toolkit.api.given import Place, path_of
from toolkit.api.training import find
from toolkit.bundle import keys as key_files
from toolkit.bundle.stage import Wanted, passphrase_from, signers_of
from toolkit.runs import Run


def new_key(private: Place, *, store: Place = "keys.json", name: str = "") -> str:
    """Make a signing key: the private half in `private`, the public one in `store`; its id.

    A passphrase is taken from the environment variable TOOLKIT_KEY_PASSPHRASE.
    """
    return key_files.new(Path(store), Path(private), name=name, passphrase=passphrase_from())


def bundle(
    run: Run | Place | None = None,
    *,
    keys: Sequence[Place],
    framework: Literal["tf", "torch"] | None = None,
    precisions: Sequence[str] = (),
    version: str = "1.0.0",
    output: Place | None = None,
    runs: Place = "runs",
) -> Path:
    """Make one signed file of a run's verified models for a device; return its path.

    Args:
        run: without it the latest.
        keys: private key files; () makes a bundle without a signature, for tests.
        framework: whose files, if there are both.
        precisions: the preferred first; without any all that are there, the fastest first.
        version: of the model.
        output: a file or folder; without it in the run.
        runs: folder of all runs.

    Raises:
        CheckError: a file has no passing verification.
        UsageError: the run's files do not make a bundle.
    """
    wanted = Wanted(framework, tuple(precisions), version)
    signers = signers_of([Path(key) for key in keys])
    return pipeline.bundle(find(run, runs=runs), wanted, signers, path_of(output))


def serve(
    *models: Place,
    host: str = "127.0.0.1",
    port: int = 8501,
    token: str = "",
    framework: Literal["tf", "torch"] | None = None,
    allow_unverified: bool = False,
    runs: Place = "runs",
) -> None:
    """Serve models over HTTP until Ctrl-C or SIGTERM.

    Args:
        *models: '[NAME=]MODEL': a run, bundle, .tflite or .onnx file, or a folder of versions;
            without any, the latest run.
        host: another than a loopback address needs a token.
        port: 0 takes a free one.
        token: that clients must send.
        framework: of runs; without it each as a model of its own.
        allow_unverified: serve what did not pass, too.
        runs: folder of all runs.

    Raises:
        UsageError: the address cannot be used.
        CheckError: a run's files have no passing verification.
    """
    from edge.loopback import is_loopback
    from toolkit.serve.logs import Log
    from toolkit.serve.server import Address
    from toolkit.serve.server import serve as serve_until_stopped
    from toolkit.serve.settings import Loading, Settings

    wanted = Wanted(framework, allow_unverified=allow_unverified)
    loading = Loading(allow_unverified=allow_unverified)
    settings = Settings(loading=loading, token=token, is_local=is_loopback(host))
    with tempfile.TemporaryDirectory() as scratch:
        names = [str(model) for model in models]
        sources = pipeline.serve_sources(names, Path(runs), Path(scratch), wanted)
        serve_until_stopped(sources, settings, Address(host, port), Log(False))


def report(
    run: Run | Place | None = None, *, output: Place | None = None, runs: Place = "runs"
) -> Path:
    """Write one offline HTML file about a run; return its path.

    Raises:
        UsageError: the run is damaged.
        StorageError: the file cannot be written.
    """
    return pipeline.report(find(run, runs=runs), path_of(output))[1]
