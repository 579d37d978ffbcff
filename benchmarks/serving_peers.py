"""`toolkit serve` against LitServe, MLServer and BentoML: the same model on the same core.

The digits CNN as ONNX, one image in JSON, under 1, 8 and 64 connections; each peer is a server as
its own documentation writes one (`peers/NAME_onnx.py`), in a Python environment of its own that
`peers/setup.sh` makes in .cache/peers (or PEERS_DIR). Those that are not there are left out.

Every server has one core; wrk, on the same machine, has another.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness import ROOT, Options, Result, free_ports, main, runs_dir, say
from benchmarks.load import Question, as_json, ask, server
from benchmarks.serving import CONNECTIONS, file_of, ours, pairs, prepared

FOLDER = Path(os.environ.get("PEERS_DIR", ROOT / ".cache" / "peers"))
_QUIET = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(FOLDER / "bentoml" / "home")}


@dataclass(frozen=True)
class Peer:
    """A server to be measured against.

    Attributes:
        name: as people know it; in lower case, the name of its environment.
        arguments: of its Python, from a port.
        ready: path that answers 200 when it is.
        path: where it is asked.
        oip: whether it speaks the Open Inference Protocol; if not, {"instances": [...]}.
    """

    name: str
    arguments: Callable[[int], list[str]]
    ready: str
    path: str = "/predict"
    oip: bool = False

    @property
    def python(self) -> Path:
        return FOLDER / self.name.lower() / "bin" / "python"


_BENTO = "benchmarks.peers.bentoml_onnx:Digits"
PEERS = (
    Peer("LitServe", lambda port: ["-m", "benchmarks.peers.litserve_onnx", str(port)], "/health"),
    Peer(
        "MLServer",
        lambda port: ["-m", "benchmarks.peers.mlserver_onnx", str(port)],
        "/v2/models/digits/ready",
        "/v2/models/digits/infer",
        oip=True,
    ),
    Peer(
        "BentoML",
        lambda port: ["-m", "bentoml", "serve", _BENTO, "--host", "127.0.0.1", "--port", str(port)],
        "/readyz",
    ),
)


def measure(options: Options) -> list[Result]:
    """Ratios of throughput and of p99."""
    there = [peer for peer in PEERS if peer.python.exists()]
    if not there:
        say(f"serving_peers: none in {FOLDER}; run benchmarks/peers/setup.sh")
        return []
    with runs_dir() as folder:
        say("serving_peers: digits, training")
        path = prepared("digits", folder)
        image = np.random.default_rng(0).integers(0, 17, (1, 8, 8, 1)).astype(np.float32)
        return [row for peer in there for row in against(peer, path, image, options)]


def against(peer: Peer, path: Path, image: np.ndarray, options: Options) -> list[Result]:
    """One peer under each number of connections, asked the very same."""
    if peer.oip:
        tensor = {"name": "image", "shape": image.shape, "datatype": "FP32"}
        body = as_json({"inputs": [tensor | {"data": image.ravel().tolist()}]})
        mine = Question("/v2/models/digits/infer", body)
    else:
        body = as_json({"instances": image.tolist()})
        mine = Question("/v1/models/digits:predict", body)
    theirs = Question(peer.path, body)
    port, other = free_ports(2)
    base = f"http://127.0.0.1:{other}"
    environment = {"MODEL": str(file_of(path)), "SCALE": str(1 / 16), **_QUIET}
    command = [str(peer.python), *peer.arguments(other)]
    results = []
    with ours(path, port) as own, server(command, base + peer.ready, environment):
        np.testing.assert_allclose(
            values(ask(own, mine)), values(ask(base, theirs)), rtol=1e-4, atol=1e-5
        )
        for connections in CONNECTIONS:
            title = f"digits image in JSON, {connections} connections"
            say(f"serving_peers: {title}: answers/s of ours and {peer.name}")
            asked = [(own, mine), (base, theirs)]
            results += pairs(title, peer.name, asked, connections, options)
    return results


def values(answer: bytes) -> np.ndarray:
    """The numbers of an answer of either form."""
    found = json.loads(answer)
    rows = found["predictions"] if "predictions" in found else found["outputs"][0]["data"]
    return np.array(rows, np.float64).reshape(-1)


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
