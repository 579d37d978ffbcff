"""The least onnxruntime release that reads an ONNX file."""

# (release, newest opset of ai.onnx, newest IR version) of the first release with each pair, from
# https://onnxruntime.ai/docs/reference/compatibility.html, whose table ends with release 1.20.
_RELEASES = (
    ("0.1", 8, 3),
    ("0.3", 9, 3),
    ("0.4", 10, 5),
    ("1.0", 11, 6),
    ("1.3", 12, 7),
    ("1.6", 13, 7),
    ("1.8", 14, 7),
    ("1.9", 15, 8),
    ("1.11", 16, 8),
    ("1.12", 17, 8),
    ("1.14", 18, 8),
    ("1.16", 19, 9),
    ("1.17", 20, 9),
    ("1.18", 21, 10),
)
_LAST = "1.20"


def least_onnxruntime(opset: int, ir_version: int) -> str:
    """Such as '>= 1.14', or '> 1.20' where the published table ends before the file's versions."""
    for release, newest_opset, newest_ir in _RELEASES:
        if opset <= newest_opset and ir_version <= newest_ir:
            return f">= {release}"
    return f"> {_LAST}"
