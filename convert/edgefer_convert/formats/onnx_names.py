"""One and the same file for one and the same ONNX graph, whatever its maker called things."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import onnx

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Nodes that keep the names of their layers. Where tf2onnx merges equal nodes, of the others
mostly, the name that is left changes from one process to the next."""

COUNTER = re.compile(r"__\d+")
"""In tf2onnx's names, from a count that never starts again within a process."""


def canonical(
    model: onnx.ModelProto, inputs: Sequence[str], outputs: Sequence[str]
) -> onnx.ModelProto:
    """Return the model with its nodes in order of use and names that depend on the graph alone.

    Its inputs and outputs get the names given. Shapes of tensors in between are dropped:
    every reader infers them. The graph must have no graphs within it (`If`, `Loop`).
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    nodes = _by_use(graph)
    names = {old.name: new for old, new in zip(graph.input, inputs, strict=True)}
    names |= {old.name: new for old, new in zip(graph.output, outputs, strict=True)}
    _name_outputs(nodes, names)
    _name_constants(nodes, names)
    constants = {item.name: item for item in graph.initializer}
    used = [_renamed(constants[name], names) for name in names if name in constants]
    for item in (*graph.input, *graph.output):
        item.name = names[item.name]
    for node in nodes:
        node.input[:] = [names.get(name, "") for name in node.input]
        node.output[:] = [names.get(name, "") for name in node.output]
        node.name, node.doc_string = f"{node.op_type}:{node.output[0]}", ""
        if not node.domain:
            node.ClearField("domain")  # Now and then said to be empty: other bytes.
    for field in ("node", "initializer", "value_info"):
        graph.ClearField(field)
    graph.node.extend(nodes)
    graph.initializer.extend(used)
    graph.name, graph.doc_string, result.doc_string = "model", "", ""
    domains = {node.domain for node in nodes}
    kept = [one for one in result.opset_import if one.domain in domains]
    result.ClearField("opset_import")
    result.opset_import.extend(kept)
    return result


def _by_use(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Copies of the nodes that the outputs need, each after those that it takes from."""
    makers = {name: node for node in graph.node for name in node.output if name}
    done: dict[str, onnx.NodeProto] = {}
    waiting = [(item.name, False) for item in reversed(graph.output)]
    while waiting:
        name, ready = waiting.pop()
        node = makers.get(name)
        if node is None or node.output[0] in done:
            continue
        if ready:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            done[node.output[0]] = copy
        else:
            waiting.append((name, True))
            waiting.extend((taken, False) for taken in reversed(node.input))
    return list(done.values())


def _name_outputs(nodes: list[onnx.NodeProto], names: dict[str, str]) -> None:
    """Name what nodes give: after the layer, or after the kind of node and its number."""
    taken, count = set(names.values()), Counter[str]()
    for node in nodes:
        for name in node.output:
            if not name or name in names:
                continue
            base = COUNTER.sub("", name) if node.op_type in LAYERS else node.op_type
            while (found := _numbered(base, count)) in taken:
                pass
            names[name] = found
            taken.add(found)


def _numbered(base: str, count: Counter[str]) -> str:
    count[base] += 1
    return base if count[base] == 1 else f"{base}_{count[base]}"


def _name_constants(nodes: list[onnx.NodeProto], names: dict[str, str]) -> None:
    """Name what is left, the constants, after the first node that takes them, and the place."""
    for node in nodes:
        for at, name in enumerate(node.input):
            if name and name not in names:
                names[name] = f"{names[node.output[0]]}.{at}"


def _renamed(item: onnx.TensorProto, names: Mapping[str, str]) -> onnx.TensorProto:
    copy = onnx.TensorProto()
    copy.CopyFrom(item)
    copy.name = names[item.name]
    return copy
