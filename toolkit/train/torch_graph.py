"""A torch model as the `GraphDef` that TensorBoard draws: a node for each call in its forward."""

from typing import Any


def graph_def(model: Any, inputs: tuple[Any, ...]) -> bytes | None:
    """Trace a model in eval mode with torch.fx, layers of torch.nn as one node each.

    Args:
        model: a module; its mode is put back.
        inputs: positional example inputs.

    Returns:
        A serialised `GraphDef` with the shape of each output, or None where the model's forward
        depends on values and cannot be traced.
    """
    import torch
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from torch.fx.passes.shape_prop import ShapeProp

    training = model.training
    try:
        traced = torch.fx.symbolic_trace(model.eval())
        with torch.no_grad():
            ShapeProp(traced).propagate(*inputs)
    except Exception:  # noqa: BLE001 - a picture less, and the training goes on
        return None
    finally:
        model.train(training)
    graph = GraphDef()
    names = {node: _name(node) for node in traced.graph.nodes}
    for node in traced.graph.nodes:
        entry = graph.node.add(name=names[node], op=_op(traced, node))
        entry.input.extend(names[source] for source in node.all_input_nodes)
        shape = getattr(node.meta.get("tensor_meta"), "shape", None)
        if shape is not None:
            listed = entry.attr["_output_shapes"].list.shape.add()
            for size in shape:
                listed.dim.add(size=size)
    return bytes(graph.SerializeToString())


def _name(node: Any) -> str:
    """A unique name with the module's path in front, by which TensorBoard groups."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path = stack[-1][0] if stack else ""
    if node.op == "call_module":
        path = ".".join(node.target.split(".")[:-1])
    return "/".join([*path.split("."), node.name] if path else [node.name])


def _op(traced: Any, node: Any) -> str:
    if node.op == "call_module":
        return type(traced.get_submodule(node.target)).__name__
    if node.op in ("call_function", "call_method"):
        return str(getattr(node.target, "__name__", node.target))
    return {"placeholder": "Placeholder", "get_attr": "Variable"}.get(node.op, "Identity")
