"""Element types against their references: f16 against NumPy, bf16 against ml_dtypes, promotion against MLX."""
import ctypes
import pathlib
import subprocess

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAMES = "bool u8 u16 u32 u64 i8 i16 i32 i64 f16 bf16 f32 f64 c64".split()
MLX = "bool_ uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64".split()


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    d = tmp_path_factory.mktemp("dtype")
    (d / "arrays.c").write_text(f"""
#include "{ROOT}/ir/dtype.c"
void to_f32(const uint16_t *h, float *f, long n, int bf) {{ for (long i = 0; i < n; i++) f[i] = bf ? bf16_to_f32(h[i]) : f16_to_f32(h[i]); }}
void from_f32(const float *f, uint16_t *h, long n, int bf) {{ for (long i = 0; i < n; i++) h[i] = bf ? f32_to_bf16(f[i]) : f32_to_f16(f[i]); }}
void convert(const char *a, char *b, long n, int from, int to) {{
  for (long i = 0; i < n; i++) scalar_store(scalar_convert(scalar_load(from, a + i * dtype_bytes(from)), to), b + i * dtype_bytes(to));
}}
""")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", d / "lib.so", d / "arrays.c", "-lm"], check=True)
    return ctypes.CDLL(str(d / "lib.so"))


def pointer(a):
    return a.ctypes.data_as(ctypes.c_void_p)


def bf16():
    return pytest.importorskip("ml_dtypes").bfloat16


@pytest.mark.parametrize("which", ["f16", "bf16"])
def test_every_half_value(lib, which):
    t = np.float16 if which == "f16" else bf16()
    h = np.arange(65536, dtype=np.uint16)
    f = np.empty(65536, np.float32)
    lib.to_f32(pointer(h), pointer(f), ctypes.c_long(65536), int(which == "bf16"))
    np.testing.assert_array_equal(f, h.view(t).astype(np.float32))


@pytest.mark.parametrize("which", ["f16", "bf16"])
def test_rounding(lib, which):
    t = np.float16 if which == "f16" else bf16()
    rng = np.random.default_rng(0)
    bits = np.concatenate([rng.integers(0, 2**32, 4_000_000, dtype=np.uint32), np.arange(0, 2**32, 4093, dtype=np.uint64).astype(np.uint32),
                           (np.arange(65536, dtype=np.uint32) << 16) | 0x8000, (np.arange(524288, dtype=np.uint32) << 13) | 0x1000])
    f = bits.view(np.float32)
    h = np.empty(f.size, np.uint16)
    lib.from_f32(pointer(f), pointer(h), ctypes.c_long(f.size), int(which == "bf16"))
    with np.errstate(all="ignore"):
        want = f.astype(t)
    got = h.view(t)
    nan = np.isnan(f)
    assert np.isnan(got[nan].astype(np.float32)).all()
    np.testing.assert_array_equal(h[~nan], want.view(np.uint16)[~nan])


def test_promotion_is_mlx(lib):
    mx = pytest.importorskip("mlx.core")
    with mx.stream(mx.cpu):
        for i, a in enumerate(MLX):
            for k, b in enumerate(MLX):
                want = mx.result_type(mx.zeros((1,), getattr(mx, a)), mx.zeros((1,), getattr(mx, b)))
                assert NAMES[lib.dtype_promote(i, k)] == NAMES[MLX.index(str(want).split(".")[-1].replace("bool", "bool_"))], (a, b)


NUMPY = {"bool": np.bool_, "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64, "i8": np.int8, "i16": np.int16, "i32": np.int32,
         "i64": np.int64, "f16": np.float16, "f32": np.float32, "f64": np.float64, "c64": np.complex64}


@pytest.mark.parametrize("a", NUMPY)
@pytest.mark.parametrize("b", NUMPY)
def test_conversion_of_values_that_both_hold(lib, a, b):
    rng = np.random.default_rng(1)
    x = np.array([0, 1, 2, 3, 100, 127, *rng.integers(0, 127, 50)])
    if a in ("f16", "f32", "f64", "c64"):
        x = x + rng.integers(0, 4, x.size) / 4
    if a[0] in "ifc" and b[0] in "ifc":
        x = np.concatenate([x, -x])
    x = x.astype(NUMPY[a])
    y = np.empty(x.size, NUMPY[b])
    lib.convert(pointer(x), pointer(y), ctypes.c_long(x.size), NAMES.index(a), NAMES.index(b))
    with np.errstate(all="ignore"):
        want = (x.real if a == "c64" and b != "c64" and b != "bool" else x).astype(NUMPY[b])
    np.testing.assert_array_equal(y, want)
