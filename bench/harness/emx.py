"""emx-onnx-cgen: the workload's ONNX model as C, compiled by gcc -O3 -march=native, called as ours is."""
import ctypes
import pathlib
import re
import sys
import numpy as np
import onnx
from .mlxcc import aligned, aligned_copy, run_tool
from .onnx_graph import build_model
from .peers import common_layout


def build(cls, arrays, threads, work, want):
    folder = pathlib.Path(work)
    model, _ = build_model(cls, arrays)
    onnx.save(model, folder / "model.onnx")
    tool = pathlib.Path(sys.executable).parent / "emx-onnx-cgen"
    # Temporaries on the stack and weights in the file: no allocation, nothing to load at run time.
    run_tool([str(tool), "compile", "--large-weight-threshold", "0", "--large-temp-threshold", "0", str(folder / "model.onnx"), str(folder / "model.c")])
    run_tool(["gcc", "-O3", "-march=native", "-fPIC", "-shared", "-o", str(folder / "model.so"), str(folder / "model.c"), "-lm"])
    shapes = [tuple(d.dim_value for d in o.type.tensor_type.shape.dim) for o in model.graph.output]
    names = re.search(r"^void model\((.*?)\) \{", (folder / "model.c").read_text(), re.M | re.S).group(1)
    inputs = {i.name: aligned_copy(np.ascontiguousarray(arrays[i.name])) for i in model.graph.input}
    outputs = dict(zip([o.name for o in model.graph.output], (aligned(s, np.float32) for s in shapes)))
    buffers = [{**inputs, **outputs}[re.search(r"(\w+)\[", p.replace("[restrict", "[")).group(1)] for p in names.split(", ")]
    function = ctypes.CDLL(str(folder / "model.so")).model
    function.restype = None
    args = tuple(ctypes.c_void_p(b.ctypes.data) for b in buffers)

    def call(keep=buffers):
        function(*args)
    return call, lambda: common_layout(cls, "onnx", [a.copy() for a in outputs.values()]), {"c_bytes": (folder / "model.c").stat().st_size}
