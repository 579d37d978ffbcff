"""Print the operators that TensorFlow Lite Micro has: builtin ones, and custom ones as given."""

import os
import sys
import tempfile

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from tflite_micro import runtime


def model(number, custom=None):
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
    code.customCode, code.version = custom, 1
    operator, graph, tree = schema.OperatorT(), schema.SubGraphT(), schema.ModelT()
    operator.inputs, operator.outputs = [], []
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [], [], [], [operator]
    tree.version, tree.operatorCodes, tree.subgraphs = 3, [code], [graph]
    tree.buffers = [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def known(content):
    with tempfile.TemporaryFile() as log:
        child = os.fork()
        if not child:
            os.dup2(log.fileno(), 2)
            try:
                runtime.Interpreter.from_bytes(content, arena_size=1 << 16)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        log.seek(0)
        return b"Failed to get registration" not in log.read()


for name, number in vars(schema.BuiltinOperator).items():
    if isinstance(number, int) and name != "CUSTOM" and known(model(number)):
        print(name)
for custom in sys.argv[1:]:
    if known(model(schema.BuiltinOperator.CUSTOM, custom)):
        print(custom)
