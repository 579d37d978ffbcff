"""The command `serve`: models behind HTTP, on this machine or on a Ray cluster."""

import os
import tempfile
from pathlib import Path
from typing import Any

import click

from toolkit import pipeline
from toolkit.artifacts import PRECISIONS
from toolkit.bundle.stage import Wanted
from toolkit.cli_asked import verbose
from toolkit.cli_options import applied, common
from toolkit.cli_types import ModelFile, OneOf, Workers
from toolkit.errors import NotFoundError, UsageError
from toolkit.serve.settings import Batching, Limits, Loading, Settings

_FILE = click.Path(path_type=Path, dir_okay=False)
_COUNT = click.IntRange(min=1)
_OPTIONS = [
    click.option("--host", default="127.0.0.1", show_default=True, help="Others need a token."),
    click.option(
        "--port", type=click.IntRange(0, 65535), default=8501, show_default=True, help="0: any."
    ),
    click.option(
        "--grpc-port", type=click.IntRange(0, 65535), help="Answer gRPC there, too. 0: any."
    ),
    click.option("--token-file", type=_FILE, help="File with the token. Or set TOOLKIT_TOKEN."),
    click.option("--tls-cert", type=_FILE, help="PEM file."),
    click.option("--tls-key", type=_FILE, help="PEM file, where it is not in the other."),
    click.option("--framework", type=OneOf("tf", "torch"), help="Of runs. Default: all."),
    click.option("--precision", type=OneOf(*PRECISIONS), help="Default: the bundle's first."),
    click.option("--keys", type=_FILE, help="Public keys; bundles must be signed by one."),
    click.option("--allow-unverified", is_flag=True, help="Serve what did not pass, too."),
    click.option(
        "--batch-size", type=_COUNT, default=32, show_default=True, help="1: no batching."
    ),
    click.option(
        "--batch-delay",
        type=click.FloatRange(min=0),
        default=0.0,
        show_default=True,
        help="Milliseconds that a request waits for others.",
    ),
    click.option("--queue", type=_COUNT, default=256, show_default=True, help="Then 429."),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0.01),
        default=30.0,
        show_default=True,
        help="Then 504.",
    ),
    click.option("--max-body", type=_COUNT, default=16, show_default=True, help="MiB, then 413."),
    click.option("--concurrency", type=_COUNT, default=1024, show_default=True, help="Then 429."),
    click.option("--threads", type=_COUNT, help="Of one call. Default: by the model's speed."),
    click.option("--log", type=OneOf("text", "json"), default="text", show_default=True),
    click.option("--access-log", is_flag=True, help="Log every request, not only failed ones."),
    click.option("--trace", is_flag=True, help="Send OpenTelemetry spans."),
    click.option(
        "--linger",
        type=click.FloatRange(min=0),
        default=0.0,
        show_default=True,
        help="Seconds from 'not ready' to the end of listening.",
    ),
    click.option("--ray", is_flag=True, help="Run replicas on Ray Serve."),
    click.option("--address", help="With --ray: of a cluster. Default: one of its own."),
    click.option(
        "--replicas",
        type=Workers(),
        default="1",
        show_default=True,
        help="With --ray; MIN:MAX scales.",
    ),
    click.option("--cpus", type=click.FloatRange(min=0), default=1.0, show_default=True),
    click.option("--gpus", type=click.FloatRange(min=0), default=0.0, show_default=True),
    click.option("--haproxy", is_flag=True, help="With --ray: HAProxy instead of Python's proxy."),
]


def _options(function: Any) -> Any:
    return applied(_OPTIONS, function)


@click.command()
@click.argument(
    "models",
    nargs=-1,
    type=ModelFile(also_runs=True, as_text=True),
    metavar="[[NAME=]MODEL]...",
)
@_options
@common
def serve(models: tuple[str, ...], runs_dir: Path, as_json: bool, **given: Any) -> None:
    """Answer TensorFlow Serving's and the Open Inference Protocol's clients.

    MODEL is a run (default: the latest), a bundle, a .tflite or .onnx file, or a folder of
    versions 1, 2, ..., which is watched. A model without a passing verification is refused.
    """
    from toolkit.serve.logs import Log

    settings = _settings(given)
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Wanted(
            framework=given["framework"],
            precisions=(given["precision"],) if given["precision"] else (),
            allow_unverified=given["allow_unverified"],
        )
        sources = pipeline.serve_sources(models, runs_dir, Path(scratch), wanted)
        log = Log(as_json or given["log"] == "json")
        if given["ray"]:
            _on_ray(sources, settings, given, log)
        else:
            _here(sources, settings, given, log)


def _settings(given: dict[str, Any]) -> Settings:
    from edge.loopback import is_loopback

    return Settings(
        batching=Batching(given["batch_size"], given["batch_delay"] / 1000, given["queue"]),
        loading=Loading(
            threads=given["threads"] or 0,
            precision=given["precision"] or "",
            keys=given["keys"],
            allow_unverified=given["allow_unverified"],
        ),
        limits=Limits(
            body=given["max_body"] << 20,
            seconds=given["timeout"],
            concurrency=given["concurrency"],
        ),
        token=_token(given["token_file"]),
        is_local=is_loopback(given["host"]),
        access_log=given["access_log"] or verbose(),
        trace=given["trace"],
    )


def _token(file: Path | None) -> str:
    """From a file, else the environment: a command line can be read by others.

    Raises:
        NotFoundError: the file cannot be read.
        UsageError: it holds no token.
    """
    if file is None:
        return os.environ.get("TOOLKIT_TOKEN", "")
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise NotFoundError(
            f"--token-file {file} cannot be read: {getattr(error, 'strerror', None) or error}; "
            "write the token into it, or set TOOLKIT_TOKEN"
        ) from error
    if not token or not token.isprintable() or " " in token:
        raise UsageError(f"--token-file {file} holds no token: one line without spaces")
    return token


def _here(sources: Any, settings: Settings, given: dict[str, Any], log: Any) -> None:
    from toolkit.serve.server import Address, serve

    address = Address(
        given["host"],
        given["port"],
        given["tls_cert"],
        given["tls_key"],
        given["linger"],
        given["grpc_port"],
    )
    serve(sources, settings, address, log)


def _on_ray(sources: Any, settings: Settings, given: dict[str, Any], log: Any) -> None:
    from toolkit.serve.on_ray import Front, Replicas, serve_on_ray

    if given["tls_cert"]:
        raise UsageError("--tls-cert: Ray Serve speaks no TLS; put a proxy before it")
    if given["grpc_port"] is not None:
        raise UsageError(
            "--grpc-port: replicas on Ray Serve answer HTTP only; leave it out, or leave out --ray"
        )
    replicas = Replicas(given["replicas"] or (1, 1), given["cpus"], given["gpus"])
    front = Front(given["host"], given["port"], given["address"], given["haproxy"])
    serve_on_ray(sources, settings, replicas, front, log)
