"""The device's hashes are hashlib's, and OpenSSL is loaded only for large files."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import hashes
from edge.trust import TrustStore
from tests.bundle.conftest import model, parts, signer, trusted
from tests.conftest import ROOT
from toolkit.bundle.build import build


@given(st.lists(st.binary(max_size=300), max_size=4), st.sampled_from([0, hashes.OPENSSL_FROM]))
def test_the_same_as_hashlib(chunks, expected):
    digest = hashes.sha256(expected=expected)
    for chunk in chunks:
        digest.update(chunk)
    whole = b"".join(chunks)
    assert digest.hexdigest() == hashlib.sha256(whole).hexdigest()
    assert hashes.sha512(whole).digest() == hashlib.sha512(whole).digest()


@pytest.mark.parametrize(("size", "loaded"), [(1 << 20, False), (hashes.OPENSSL_FROM, True)])
def test_openssl_is_loaded_for_large_files_only(size, loaded, tmp_path):
    large = replace(model("tflite"), content=bytes(size))
    (tmp_path / "some.edge").write_bytes(build(parts(models=(large,)), [signer(1)]))
    (tmp_path / "keys.json").write_text(TrustStore.of(trusted(1)).to_json())
    code = (
        "import sys; from edge.bundle import Bundle, TrustStore; "
        "assert Bundle.open('some.edge', TrustStore.read('keys.json')).signed_by; "
        "print('_hashlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout == f"{loaded}\n"


def test_without_the_modules_of_their_own(monkeypatch):
    for name in ("_sha2", "_sha256", "_sha512"):
        monkeypatch.setitem(sys.modules, name, None)
    assert hashes.sha256(b"a").hexdigest() == hashlib.sha256(b"a").hexdigest()
