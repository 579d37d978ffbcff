"""Models and their proofs as plain data, for the page and for tools."""

from typing import Any

from toolkit.serve.metrics import Metrics
from toolkit.serve.repository import Repository
from toolkit.serve.version import Proof, Spec, Version


def describe(
    repository: Repository, metrics: Metrics, *, examples: bool = True
) -> list[dict[str, Any]]:
    """All models, their versions' states, and what is known of those that answer.

    Without `examples` it is short enough to be asked for every other second.
    """
    served = [each.version for each in repository.served()]
    loaded = {(version.name, version.number): version for version in served}
    described = []
    for name in repository.names:
        versions = []
        for state in repository.status(name):
            row = {"version": state.version, "state": state.state, "error": state.error}
            version = loaded.get((name, state.version))
            if version is not None:
                row |= _version(version) | {"latency": metrics.latency(name, version.number)}
                row |= {"example": example(version)} if examples else {}
            versions.append(row)
        described.append({"name": name, "versions": versions})
    return described


def _version(version: Version) -> dict[str, Any]:
    manifest = version.model.manifest
    return {
        "text": version.text,
        "runtime": version.model.runtime,
        "threads": version.threads,
        "framework": manifest.framework if manifest else "",
        "target": manifest.target if manifest else "",
        "precision": manifest.precision if manifest else "",
        "inputs": [_spec(spec) for spec in version.inputs],
        "outputs": [tensor.to_json() for tensor in version.outputs],
        "decision": version.decision,
        "labels": version.labels,
        "proof": _proof(version.proof),
    }


def example(version: Version) -> Any:
    """One golden sample as JSON, {"NAME": [value]}; None where there is none."""
    if version.golden is None:
        return None
    return {spec.name: version.golden[f"inputs.{spec.name}"][:1] for spec in version.inputs}


def _spec(spec: Spec) -> dict[str, Any]:
    return {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype}


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "verified": proof.verified,
        "reason": proof.reason,
        "checks": [dict(check) for check in proof.checks],
        "signed_by": list(proof.signed_by),
        "samples": proof.samples,
        "error": proof.error,
        "sha256": proof.sha256,
    }
