"""EMBEDDING_LOOKUP, as litert_torch writes an embedding, made the GATHER that Keras's are.

Both copy rows of a table. AI Edge Quantizer has no static integers for the former, and keeps a
scale and a zero point a row in dynamic files, 12 bytes; tf2onnx does not know it.
"""

from typing import Any

from toolkit.export.quantise_flatbuffer import operators


def gather_lookups(tree: Any, *, tied: bool = False) -> None:
    """Make each EMBEDDING_LOOKUP a GATHER; the names of tensors stay.

    A tree with a table of integers is left as it is. So is one with a table that other operators
    read too, as a language model's last layer does, unless `tied`: quantised with one scale for
    the former and one a row for the latter, it would be stored twice.

    Args:
        tree: as `quantise_flatbuffer.parse` gives it.
        tied: also where a table is not the lookup's alone.
    """
    from ai_edge_litert import schema_py_generated as schema

    lookups, tables, others = [], [], set()
    for graph in tree.subgraphs:
        for name, operator in operators(tree, graph):
            if name == "EMBEDDING_LOOKUP":
                lookups.append(operator)
                tables.append(graph.tensors[operator.inputs[1]])
            else:
                others |= {graph.tensors[index].buffer for index in operator.inputs if index >= 0}
    if any(table.type != schema.TensorType.FLOAT32 for table in tables):
        return
    if not tied and any(table.buffer in others for table in tables):
        return
    for operator in lookups:
        code = tree.operatorCodes[operator.opcodeIndex]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.GATHER
        operator.inputs = operator.inputs[::-1]
        operator.builtinOptions = schema.GatherOptionsT()
        operator.builtinOptionsType = schema.BuiltinOptions.GatherOptions
