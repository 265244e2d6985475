"""Builds and runs ggml graphs on the CPU: g.ggml_mul_mat(a, b) is ggml_mul_mat(context, a, b). Shapes are NumPy's, reversed as ggml counts them."""
import ctypes
import numpy as np
import ggml.ggml as ggml

MEMORY = 3 << 30
TYPES = {"float32": ggml.GGML_TYPE_F32, "int32": ggml.GGML_TYPE_I32, "float16": ggml.GGML_TYPE_F16}
NAMED = {"q4_0": ggml.GGML_TYPE_Q4_0}


class Builder:
    def __init__(self):
        self.firsts = []
        self.context = ggml.ggml_init(ggml.ggml_init_params(mem_size=MEMORY, mem_buffer=None, no_alloc=False))

    def tensor(self, value):
        """A tensor that holds the array, or (type name, shape, bytes)."""
        if isinstance(value, dict):
            return {k: self.tensor(v) for k, v in value.items()}
        kind, shape, data = value if isinstance(value, tuple) else (None, value.shape, value)
        dims = list(reversed(shape)) or [1]
        t = ggml.ggml_new_tensor(self.context, NAMED[kind] if kind else TYPES[str(data.dtype)], len(dims), (ctypes.c_int64 * len(dims))(*dims))
        data = np.ascontiguousarray(data)
        ctypes.memmove(ggml.ggml_get_data(t), data.ctypes.data, data.nbytes)
        return t

    def first(self, tensor):
        """What must be computed before later users of the same memory, in this order."""
        self.firsts.append(tensor)

    def attention(self, q, k, v, scale, causal):
        """flash_attn_ext with keys and values in f32; the causal mask is an f16 tensor, as ggml wants it."""
        mask = None
        if causal:
            length = q.contents.ne[1]
            mask = self.tensor(np.where(np.tril(np.ones((length, length), bool)), 0, -np.inf).astype(np.float16))
        out = self.ggml_flash_attn_ext(q, k, v, mask, scale, 0.0, 0.0)
        ggml.ggml_flash_attn_ext_set_prec(out, ggml.GGML_PREC_F32)
        return out

    def __getattr__(self, name):
        f = getattr(ggml, name)
        return lambda *args: f(self.context, *args)


def build(cls, arrays, threads):
    g = Builder()
    tensors = [g.tensor(v) for v in arrays.values()]
    results = cls.ggml(g, *tensors)
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    graph = ggml.ggml_new_graph_custom(g.context, 16384, False)
    for r in g.firsts + results:
        ggml.ggml_build_forward_expand(graph, r)
    pool = None
    if threads > 1:
        params = ggml.ggml_threadpool_params_default(threads)
        pool = ggml.ggml_threadpool_new(ctypes.byref(params))
    plan = ggml.ggml_graph_plan(graph, threads, pool)
    work = np.zeros(plan.work_size + 64, np.uint8)
    plan.work_data = ctypes.cast(work.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
    pointer = ctypes.byref(plan)

    def call(work=work):
        ggml.ggml_graph_compute(graph, pointer)

    def fetch():
        out = []
        for r in results:
            shape = [n for n in reversed(list(r.contents.ne))]
            flat = np.ctypeslib.as_array(ctypes.cast(ggml.ggml_get_data(r), ctypes.POINTER(ctypes.c_float)), (int(np.prod(shape)),))
            out.append(flat.copy().reshape(shape))
        return out
    return call, fetch
