"""Every kind of bad request is refused by the protocols' functions, in words that help."""

import pytest

from tests.serve import bad_requests, tiny
from toolkit.serve import oip, tfserving
from toolkit.serve.errors import RequestError
from toolkit.serve.json_in import parse

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

CASES = bad_requests.cases()
PURE = [case for case in CASES if case.pure]


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    return tiny.versions(tmp_path_factory.mktemp("models"), tiny.NAMES)


def test_there_are_many_kinds_and_their_names_differ():
    assert len(PURE) >= 300
    assert len({case.name for case in CASES}) == len(CASES)


def read(case, version):
    if case.path.endswith("/infer"):
        length = case.headers.get("Inference-Header-Content-Length")
        return oip.read_infer(case.body, length and int(length), version, 32)
    verb = case.path.rpartition(":")[2]
    return getattr(tfserving, f"read_{verb}")(parse(case.body, 32), version)


@pytest.mark.parametrize("case", PURE, ids=lambda case: case.name)
def test_is_refused(case, versions):
    version = versions[case.model]
    with pytest.raises(RequestError) as refused:
        read(case, version)
    message = str(refused.value)
    assert refused.value.status == case.status
    missing = [word for word in case.words if word not in message]
    assert not missing, message
    assert len(message) < 600
