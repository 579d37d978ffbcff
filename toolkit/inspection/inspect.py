"""Inspect one model file, best in a child process (`toolkit.hosts`): damaged files may crash."""

from collections import Counter

from edge.errors import EdgeError
from edge.manifest_tflite import is_tflite
from toolkit.errors import ToolkitError, UsageError
from toolkit.inspection.contents import Contents
from toolkit.inspection.graph import (
    Graph,
    all_graphs,
    constants,
    macs,
    operators,
    peak_bytes,
)
from toolkit.inspection.report import Inspection, Large

_LARGEST = 10


def inspect_file(content: bytes, name: str) -> Inspection:
    """Read what a .tflite or .onnx file contains, without running it.

    Args:
        content: of the file; what it is, this says and not its name.
        name: for the report and for messages.

    Raises:
        UsageError: it is no such file, damaged, or keeps its weights in a second file; or the
            package that reads it is missing.
    """
    if not content:
        raise UsageError(f"{name} is empty; copy or export it again")
    try:
        contents = _read(content)
    except ToolkitError as error:
        raise UsageError(f"{name}: {error}", detail=error.detail) from error
    except EdgeError as error:
        raise UsageError(f"{name}: {error}") from error
    except ImportError as error:
        raise UsageError(
            f"{name}: package {error.name!r}, which reads it, is missing; install it with "
            "pip install 'edge-deployment-toolkit[export,edge-litert]'"
        ) from error
    except Exception as error:  # readers of damaged files raise anything
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UsageError(
            f"{name} is no .tflite or .onnx model, or damaged ({reason[0][:200]}); "
            "copy or export it again"
        ) from error
    return _inspection(content, name, contents)


def _read(content: bytes) -> Contents:
    if is_tflite(content):
        from toolkit.inspection.tflite_file import read
    else:
        from toolkit.inspection.onnx_file import read
    return read(content)


def _inspection(content: bytes, name: str, found: Contents) -> Inspection:
    graphs = list(all_graphs(found.graph))
    stored = constants(graphs)
    of_dtype: Counter[str] = Counter()
    parameters: Counter[str] = Counter()
    for value in stored:
        of_dtype[value.dtype] += value.bytes
        if value.parameter:
            parameters[value.dtype] += value.elements
    activations = peak_bytes(found.graph)
    made = [value for graph in graphs for value in graph.values.values() if not value.constant]
    return Inspection(
        name=name,
        format=found.format,
        bytes=len(content),
        manifest=found.manifest,
        needs=found.needs,
        inputs=found.inputs,
        outputs=found.outputs,
        operators=operators(graphs),
        parameters=parameters.total(),
        constants=dict(of_dtype.most_common()),
        parameters_by_dtype=dict(parameters.most_common()),
        macs=macs(found.graph),
        uncounted=sum(node.macs is None for graph in graphs for node in graph.nodes),
        largest=_largest(graphs),
        activation_bytes=activations,
        memory_bytes=activations + of_dtype.total(),
        unknown=sum(value.shape is None for value in made),
    )


def _largest(graphs: list[Graph]) -> tuple[Large, ...]:
    every = constants(graphs)
    every += [value for g in graphs for value in g.values.values() if not value.constant]
    known = [value for value in every if value.bytes]
    return tuple(
        Large(
            value.name,
            value.dtype,
            value.shape or (),
            value.bytes,
            "constant" if value.constant else "activation",
        )
        for value in sorted(known, key=lambda value: (-value.bytes, value.name))[:_LARGEST]
    )
