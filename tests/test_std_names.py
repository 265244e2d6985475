"""Every function of mlx.core, random, linalg, fast, losses, init and optimizers exists under its name; what does not has its reason here."""
import subprocess

import pytest

from std_tools import mx

import mlx.nn as nn
import mlx.optimizers as optim

# The running process's business: devices, streams, memory, evaluation, printing, files of other tools.
RUNTIME = """async_eval clear_cache clear_streams compile default_device default_stream depends device_count device_info disable_compile enable_compile eval
export_function export_to_dot exporter from_dlpack get_active_memory get_array_buffer_size get_cache_memory get_memory_limit get_peak_memory get_printoptions import_function
is_available new_stream new_thread_local_stream new_thread_unsafe_stream printoptions reset_peak_memory save save_gguf save_safetensors savez savez_compressed
set_cache_limit set_default_device set_default_stream set_memory_limit set_printoptions set_wired_limit stream synchronize metal_kernel cuda_kernel
precompiled_cuda_kernel seed""".split()
CLASSES = """ArrayAt ArrayIterator ArrayLike Device DeviceType Dtype DtypeCategory FunctionExporter PrintOptions Stream StreamContext ThreadLocalStream""".split()
# Said in another way: custom_vjp and custom_jvp; types are compared, not asked.
OTHERWISE = "custom_function can_cast isdtype issubdtype result_type einsum_path".split()
# 8-bit floats.
LATER = "from_fp8 to_fp8 gather_qqmm qqmm".split()
PYTHON = "Callable List Module Optional Tuple Union Reduction Literal Optimizer get_args tree_flatten tree_map tree_merge tree_reduce tree_unflatten".split()


def functions(module):
    names = [n for n in dir(module) if not n.startswith("_") and callable(getattr(module, n)) and not isinstance(getattr(module, n), mx.Dtype)]
    return [n for n in names if n not in RUNTIME + CLASSES + OTHERWISE + LATER + PYTHON]


@pytest.mark.parametrize("prefix,module", [("", mx), ("random.", mx.random), ("linalg.", mx.linalg), ("fft.", mx.fft), ("fast.", mx.fast), ("losses.", nn.losses), ("init.", nn.init),
                                           ("optim.", optim)], ids=["core", "random", "linalg", "fft", "fast", "losses", "init", "optim"])
def test_names(mlxcc, tmp_path, prefix, module):
    f = tmp_path / "t.mx"
    missing = []
    for name in functions(module):
        f.write_text(f"import losses, init, optim; export fn main() {{ let f = {prefix}{name}; return 1.0; }}")
        if subprocess.run([mlxcc, "check", str(f)], capture_output=True).returncode:
            missing.append(name)
    assert not missing
