"""Builds ONNX graphs by calling operators as functions: g.MatMul(a, b), g.Softmax(x, axis=-1). NumPy arrays become initialisers."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 21
TYPES = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "int64": TensorProto.INT64, "uint8": TensorProto.UINT8, "bool": TensorProto.BOOL,
         "float16": TensorProto.FLOAT16, "uint32": TensorProto.UINT32, "bfloat16": TensorProto.BFLOAT16}


class Graph:
    def __init__(self):
        self.nodes, self.initialisers, self.inputs, self.count, self.known = [], [], [], 0, {}
        self.domains = set()

    def input(self, name, array):
        self.inputs.append(helper.make_tensor_value_info(name, TYPES[str(array.dtype)], array.shape))
        return name

    def constant(self, value):
        if isinstance(value, str):
            return value
        if isinstance(value, (list, tuple)) or isinstance(value, int):
            value = np.array(value, dtype=np.int64)
        if isinstance(value, float):
            value = np.array(value, dtype=np.float32)
        key = id(value)
        if key not in self.known:
            name = f"c{len(self.initialisers)}"
            self.initialisers.append(numpy_helper.from_array(value if value.flags.c_contiguous else value.copy(), name))
            self.known[key] = (name, value)  # holds the array, so that its id stays its own
        return self.known[key][0]

    def __getattr__(self, op):
        if op.startswith("_"):
            raise AttributeError(op)

        def call(*args, outputs=1, domain="", **attributes):
            names = [f"t{self.count + i}" for i in range(outputs)]
            self.count += outputs
            if domain:
                self.domains.add(domain)
            inputs = ["" if a is None else self.constant(a) for a in args]
            self.nodes.append(helper.make_node(op, inputs, names, domain=domain, **attributes))
            return names[0] if outputs == 1 else names
        return call

    def model(self, results):
        outputs = [helper.make_empty_tensor_value_info(name) for name in results]
        graph = helper.make_graph(self.nodes, "bench", self.inputs, outputs, self.initialisers)
        opsets = [helper.make_opsetid("", OPSET)] + [helper.make_opsetid(d, 1) for d in sorted(self.domains)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def build_model(cls, arrays):
    """The workload's ONNX model; its weights are initialisers, the rest inputs."""
    g = Graph()
    args = []
    for name, value in arrays.items():
        args.append(value if name in cls.weights or isinstance(value, dict) else g.input(name, value))
    results = cls.onnx(g, *args)
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    model = g.model(results)
    onnx_model = onnx.shape_inference.infer_shapes(model) if not g.domains else model
    return onnx_model, results
