"""Whatever the bytes or the JSON, the parser answers or raises BundleError, and nothing else."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.bundle import Bundle
from edge.bundle_format import BundleError, canonical, read_header
from edge.bundle_manifest import BundleManifest
from edge.golden import read_arrays
from edge.trust import TrustError, TrustStore, read_signatures, write_signatures
from tests.bundle import faults
from tests.bundle.conftest import parts, signer, trusted
from toolkit.bundle.build import build

WHOLE = build(parts(), [signer(1)])
MANIFEST, SIGNATURES, _ = faults.split(WHOLE)
GOLDEN = next(
    WHOLE[m["offset"] : m["offset"] + m["size"]]
    for m in MANIFEST["members"]
    if m["kind"] == "golden"
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["model", "golden.npz", "edge.pyz", "float32", "argmax", "crop", "scale"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


def places(value, path=()):
    """The paths of everything inside a JSON value."""
    yield path
    children = enumerate(value) if isinstance(value, list) else ()
    for key, child in value.items() if isinstance(value, dict) else children:
        yield from places(child, (*path, key))


@st.composite
def mutated(draw, good):
    """A JSON value in which some values were replaced, removed or added."""
    value = copy.deepcopy(good)
    inside = [path for path in places(good) if path]
    for path in draw(st.lists(st.sampled_from(inside), min_size=1, max_size=3)):
        try:
            holder = value
            for key in path[:-1]:
                holder = holder[key]
            action = draw(st.sampled_from(["put", "put", "remove", "add"]))
            if action == "put":
                holder[path[-1]] = draw(VALUES)
            elif action == "remove":
                del holder[path[-1]]
            elif isinstance(holder, list):
                holder.append(draw(VALUES))
            else:
                holder[draw(st.text(max_size=8))] = draw(VALUES)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
    return value


def manifests():
    """Manifests of bundles that are good but for a few values."""
    return mutated(MANIFEST)


@st.composite
def damaged(draw, good):
    """Bytes with some of them changed, removed or repeated."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 6))):
        begin = draw(st.integers(0, max(len(data) - 1, 0)))
        end = min(len(data), begin + draw(st.integers(0, 16)))
        other = draw(st.sampled_from([b"", data[begin:end] * 2]) | st.binary(max_size=16))
        data[begin:end] = other
    return bytes(data)


def fuzz(examples):
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    return settings(max_examples=examples, deadline=None, suppress_health_check=checks)


def answers(function, *arguments, error=BundleError):
    """Call it; an error must be of this kind and say something."""
    try:
        return function(*arguments)
    except error as raised:
        if not 10 < len(str(raised)) < 4000:
            raise AssertionError("it says too little or too much") from raised
        return None


def manifest_case(value):
    try:
        data = canonical(value)
    except (TypeError, ValueError):  # NaN, half a surrogate, keys of two kinds: no JSON at all
        return
    read = answers(BundleManifest.from_bytes, data)
    if read is not None:
        assert read.to_bytes() == data
        assert all(model.manifest for model in read.models)


def whole_case(path, store, data):
    path.write_bytes(data)
    assert answers(Bundle.open, path, store) is None or data == WHOLE


def sealed_case(path, store, manifest):
    """What a trusted key signed may load, if it describes the members that are there."""
    try:
        data = faults.sealed(manifest, WHOLE[MANIFEST["members"][0]["offset"] :])
    except (TypeError, ValueError):  # no JSON at all, as above
        return
    path.write_bytes(data)
    read = answers(Bundle.open, path, store)
    if read is not None:
        for found, good in zip(read.manifest.members, MANIFEST["members"], strict=True):
            assert (found.offset, found.sha256) == (good["offset"], good["sha256"])
            assert len(read.member(found.name)) == good["size"]


def signatures_case(data):
    found = answers(read_signatures, data, error=TrustError)
    assert found is None or write_signatures(found) == data


def golden_case(data):
    arrays = answers(read_arrays, memoryview(data)) or {}
    assert sum(array.nbytes for array in arrays.values()) <= len(data)


def store_case(value):
    answers(TrustStore.from_json, json.dumps(value), error=TrustError)


STORES = st.builds(
    lambda change: {"format": 1, "keys": [{**trusted(1).to_json(), **change}]},
    st.dictionaries(st.sampled_from(["keyid", "public", "state", "name", "endorsement"]), VALUES),
)

CASES = {
    "manifest": (manifests(), manifest_case),
    "any manifest": (VALUES, manifest_case),
    "signatures": (damaged(SIGNATURES) | st.binary(max_size=400), signatures_case),
    "golden": (damaged(GOLDEN) | st.binary(max_size=400), golden_case),
    "store": (STORES | VALUES, store_case),
    "header": (st.binary(max_size=32), lambda data: answers(read_header, data)),
    "header after the magic": (
        st.binary(max_size=24).map(lambda data: b"EDGEBNDL" + data),
        lambda data: answers(read_header, data),
    ),
}


def run(strategy, case, examples):
    fuzz(examples)(given(strategy)(case))()


@pytest.mark.parametrize("name", CASES)
def test_parts_of_the_parser(name):
    run(*CASES[name], 60)


@pytest.mark.soak
@pytest.mark.parametrize("name", CASES)
def test_parts_of_the_parser_for_long(name):
    run(*CASES[name], 3_000)


def whole_files(path, store, examples):
    run(damaged(WHOLE), lambda data: whole_case(path, store, data), examples)
    run(manifests(), lambda manifest: sealed_case(path, store, manifest), examples)


def test_whole_files(tmp_path, store):
    whole_files(tmp_path / "some.edge", store, 60)


@pytest.mark.soak
def test_whole_files_for_long(tmp_path, store):
    whole_files(tmp_path / "some.edge", store, 2_000)
