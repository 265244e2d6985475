"""One adapter for each peer: builds a workload's version and returns (call, fetch, note).

`call()` runs it once and waits for the result; `fetch()` gives the last results as NumPy arrays. Inputs stand in the peer's own memory before the
first call. Weights are constants of the graph where the peer has such a thing.
"""
import os
import pathlib
import shutil
import tempfile
import numpy as np
from . import mlxcc as mx_c
from .workload import as_list

PEERS = ["mlxcc", "mlxcc.clang", "numpy", "torch", "torch.compile", "ort", "jax", "iree", "mlx", "mlx.compile", "ggml", "emx"]


class CannotRun(Exception):
    """The peer has no version of this workload; the message says why."""


def own_layout(cls, peer, arrays):
    hook = getattr(cls, f"{peer}_in", None)
    return hook(dict(arrays)) if hook else arrays


def common_layout(cls, peer, results):
    hook = getattr(cls, f"{peer}_out", None)
    return as_list(hook(*results)) if hook else results


def version(cls, peer):
    if peer in cls.skip:
        raise CannotRun(cls.skip[peer])
    f = getattr(cls, peer, None)
    if f is None:
        raise CannotRun("not written")
    return f


# ---- mlxcc ----

def build_mlxcc(cls, arrays, threads, want, work, cc="gcc"):
    info = mx_c.compile_workload(cls, arrays, work, cc=cc, threads=threads)
    call, fetch = mx_c.make_call(cls, arrays, info, want, threads)
    return call, fetch, {k: v for k, v in info.items() if not isinstance(v, pathlib.Path)}


def build_mlxcc_clang(cls, arrays, threads, want, work):
    return build_mlxcc(cls, arrays, threads, want, work, cc="clang")


# ---- NumPy ----

def build_numpy(cls, arrays, threads, want, work):
    f = version(cls, "numpy")
    args = list(own_layout(cls, "numpy", arrays).values())
    box = [None]

    def call():
        box[0] = f(np, *args)
    return call, lambda: common_layout(cls, "numpy", as_list(box[0])), {}


# ---- torch ----

def torch_tensor(torch, array):
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.uint16).copy()).view(torch.bfloat16)
    if array.dtype == np.uint32:
        return torch.from_numpy(array.view(np.int32).copy())
    return torch.from_numpy(np.ascontiguousarray(array))


def torch_array(t):
    import torch
    t = t.detach()
    return (t.float() if t.dtype == torch.bfloat16 else t).numpy()


def build_torch(cls, arrays, threads, want, work, compiled=False):
    peer = "torch"
    if compiled and "torch.compile" in cls.skip:
        raise CannotRun(cls.skip["torch.compile"])
    if peer in cls.skip:
        raise CannotRun(cls.skip[peer])
    import torch
    torch.set_num_threads(threads)
    arrays = own_layout(cls, peer, arrays)
    if hasattr(cls, "torch_build"):
        call, fetch = cls.torch_build(torch, arrays, compiled)
        return call, lambda: common_layout(cls, peer, [torch_array(t) for t in fetch()]), {}
    f = version(cls, peer)

    class Module(torch.nn.Module):
        """Holds the weights as parameters, so that freezing sees constants."""

        def __init__(self):
            super().__init__()
            self.names = {}
            for name in cls.weights:
                if isinstance(arrays[name], dict):
                    for leaf, value in arrays[name].items():
                        self.hold(f"{name}.{leaf}", value)
                else:
                    self.hold(name, arrays[name])

        def hold(self, name, value):
            tensor = torch_tensor(torch, value)
            attribute = "w_" + name.replace(".", "_")
            self.names[name] = attribute
            if tensor.is_floating_point():
                setattr(self, attribute, torch.nn.Parameter(tensor, requires_grad=False))
            else:
                self.register_buffer(attribute, tensor)

        def forward(self, *inputs):
            rest, args = iter(inputs), []
            for name, value in arrays.items():
                if name not in cls.weights:
                    args.append(next(rest))
                elif isinstance(value, dict):
                    args.append({leaf: getattr(self, self.names[f"{name}.{leaf}"]) for leaf in value})
                else:
                    args.append(getattr(self, self.names[name]))
            return f(torch, *args)

    module = Module().eval()
    inputs = [torch_tensor(torch, v) if isinstance(v, np.ndarray) else v for k, v in arrays.items() if k not in cls.weights]
    box = [None]
    if compiled:
        import torch._inductor.config as config
        config.freezing = bool(cls.weights)
        run = torch.compile(module, dynamic=False)
        grad_mode = torch.no_grad
    else:
        run = module
        grad_mode = torch.inference_mode

    def call():
        with grad_mode():
            box[0] = run(*inputs)
    return call, lambda: common_layout(cls, peer, [torch_array(t) for t in as_list(box[0])]), {}


def build_torch_compile(cls, arrays, threads, want, work):
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(pathlib.Path(work) / "inductor")
    return build_torch(cls, arrays, threads, want, work, compiled=True)


# ---- ONNX Runtime ----

def build_ort(cls, arrays, threads, want, work):
    version(cls, "onnx" if "ort" not in cls.skip else "ort")
    import onnxruntime as ort
    from .onnx_graph import build_model
    arrays = own_layout(cls, "onnx", arrays)
    model, results = build_model(cls, arrays)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    keep = []
    for name in [i.name for i in session.get_inputs()]:
        value = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(arrays[name]))
        keep.append(value)
        binding.bind_ortvalue_input(name, value)
    for name in results:
        binding.bind_output(name)
    session.run_with_iobinding(binding)
    outputs = [ort.OrtValue.ortvalue_from_numpy(o.numpy()) for o in binding.get_outputs()]
    binding.clear_binding_outputs()
    for name, value in zip(results, outputs):
        binding.bind_ortvalue_output(name, value)

    def call():
        session.run_with_iobinding(binding)
    return call, lambda: common_layout(cls, "onnx", [o.numpy() for o in outputs]), {"keep": None}


# ---- JAX and IREE ----

def jax_function(cls, jax, arrays):
    """-> (function of the inputs that are not weights, those inputs). Weights are closed over: constants."""
    f = cls.jax
    device = {k: jax.tree.map(jax.numpy.asarray, v) for k, v in arrays.items()}
    names = [k for k in arrays if k not in cls.weights]

    def closed(*inputs):
        values = dict(device)
        values.update(zip(names, inputs))  # jit sorts the keys of dicts: back to the order of the inputs
        return f(jax, *({k: v[k] for k in arrays[name]} if isinstance(v, dict) else v for name, v in values.items()))
    return closed, [device[k] for k in names]


def build_jax(cls, arrays, threads, want, work):
    version(cls, "jax")
    import jax
    arrays = own_layout(cls, "jax", arrays)
    f, inputs = jax_function(cls, jax, arrays)
    compiled = jax.jit(f).lower(*inputs).compile()
    box = [None]

    def call():
        box[0] = jax.block_until_ready(compiled(*inputs))
    return call, lambda: common_layout(cls, "jax", [np.asarray(a) for a in jax.tree.leaves(box[0])]), {}


IREE_FLAGS = ["--iree-llvmcpu-target-cpu=host", "--iree-opt-level=O3"]


def build_iree(cls, arrays, threads, want, work):
    if "iree" in cls.skip:
        raise CannotRun(cls.skip["iree"])
    if not hasattr(cls, "jax"):
        raise CannotRun("not written")
    import time
    import jax
    import jax.export
    import iree.compiler as compiler
    import iree.runtime as runtime
    arrays = own_layout(cls, "jax", arrays)
    f, inputs = jax_function(cls, jax, arrays)
    text = jax.export.export(jax.jit(f, keep_unused=True))(*inputs).mlir_module()
    best = None
    for tiling in ("true", "false"):
        try:
            start = time.perf_counter()
            flatbuffer = compiler.compile_str(text, target_backends=["llvm-cpu"], input_type="stablehlo",
                                              extra_args=[*IREE_FLAGS, f"--iree-opt-data-tiling={tiling}"])
            seconds = time.perf_counter() - start
            if threads == 1:
                config = runtime.Config("local-sync")
            else:
                runtime.flags.parse_flags(f"--task_topology_max_group_count={threads}")
                config = runtime.Config("local-task")
            context = runtime.SystemContext(config=config)
            context.add_vm_module(runtime.VmModule.copy_buffer(context.instance, flatbuffer))
            main = context.modules[context._vm_modules[-1].name]["main"] if hasattr(context, "_vm_modules") else context.modules.jit_closed["main"]
            args = [runtime.asdevicearray(config.device, np.asarray(a)) for a in jax.tree.leaves(inputs)]
            main(*args)
            start = time.perf_counter()
            main(*args)
            once = time.perf_counter() - start
        except Exception as error:  # one of the two flag sets may fail
            failure = error
            continue
        if best is None or once < best[0]:
            best = (once, main, args, context, dict(data_tiling=tiling, compile_s=seconds))
    if best is None:
        raise CannotRun(f"iree: {str(failure).strip().splitlines()[0][:200]}")
    _, main, args, context, note = best
    box = [None, context]

    def call():
        box[0] = main(*args)
    return call, lambda: common_layout(cls, "jax", [np.asarray(a.to_host()) for a in jax.tree.leaves(box[0], is_leaf=lambda a: hasattr(a, "to_host"))]), note


# ---- MLX ----

def build_mlx(cls, arrays, threads, want, work, compiled=False):
    f = version(cls, "mlx")
    if compiled and "mlx.compile" in cls.skip:
        raise CannotRun(cls.skip["mlx.compile"])
    import mlx.core as mx
    arrays = own_layout(cls, "mlx", arrays)

    def to_mlx(v):
        if isinstance(v, dict):
            return {k: to_mlx(a) for k, a in v.items()}
        if v.dtype.name == "bfloat16":
            return mx.array(v.astype(np.float32)).astype(mx.bfloat16)
        return mx.array(v)
    device = {k: to_mlx(v) for k, v in arrays.items()}
    names = [k for k in arrays if k not in cls.weights]

    def closed(*inputs):
        values = dict(device)
        values.update(zip(names, inputs))
        return f(mx, *values.values())
    run = mx.compile(closed) if compiled else closed
    inputs = [device[k] for k in names]
    mx.eval(device)
    box = [None]

    def call():
        box[0] = run(*inputs)
        mx.eval(box[0])

    def fetch():
        leaves = []

        def walk(v):
            if isinstance(v, dict):
                for a in v.values():
                    walk(a)
            elif isinstance(v, (list, tuple)):
                for a in v:
                    walk(a)
            else:
                leaves.append(np.array(v.astype(mx.float32)) if v.dtype == mx.bfloat16 else np.array(v))
        walk(box[0])
        return common_layout(cls, "mlx", leaves)
    return call, fetch, {}


def build_mlx_compile(cls, arrays, threads, want, work):
    return build_mlx(cls, arrays, threads, want, work, compiled=True)


# ---- ggml ----

def build_ggml(cls, arrays, threads, want, work):
    version(cls, "ggml")
    from . import ggml_graph
    call, fetch = ggml_graph.build(cls, own_layout(cls, "ggml", arrays), threads)
    return call, lambda: common_layout(cls, "ggml", fetch()), {}


# ---- emx-onnx-cgen: ONNX to C ----

def build_emx(cls, arrays, threads, want, work):
    version(cls, "onnx" if "emx" not in cls.skip else "emx")
    from . import emx
    return emx.build(cls, own_layout(cls, "onnx", arrays), threads, work, want)


BUILDERS = {"mlxcc": build_mlxcc, "mlxcc.clang": build_mlxcc_clang, "numpy": build_numpy, "torch": build_torch, "torch.compile": build_torch_compile,
            "ort": build_ort, "jax": build_jax, "iree": build_iree, "mlx": build_mlx, "mlx.compile": build_mlx_compile, "ggml": build_ggml, "emx": build_emx}


def environment(peer, threads):
    """Variables that must be set before the peer's library is loaded."""
    env = dict(os.environ)
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        env.pop(name, None)
    count = str(threads)
    env.update(OMP_NUM_THREADS=count, MKL_NUM_THREADS=count, OPENBLAS_NUM_THREADS=count, JAX_PLATFORMS="cpu", TF_CPP_MIN_LOG_LEVEL="3",
               CUDA_VISIBLE_DEVICES="",
               # Freed results are used again instead of going back to the system, for every peer alike.
               MALLOC_MMAP_THRESHOLD_="4294967296", MALLOC_TRIM_THRESHOLD_="17179869184", MALLOC_TOP_PAD_="67108864")
    if peer == "jax" and threads == 1:
        env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return env


def clean(folder):
    shutil.rmtree(folder, ignore_errors=True)


def work_folder():
    return tempfile.mkdtemp(prefix="mlxcc-bench-")
