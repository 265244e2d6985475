"""What MLX gets wrong, refuses or loses (found by running it), computed right here. JAX, NumPy or arithmetic in more digits is the reference."""
import numpy as np
import pytest

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
jnp = jax.numpy

from std_tools import run, type_of

rng = np.random.default_rng(0)


def f32(*shape):
    return rng.normal(size=shape).astype(np.float32)


def same(got, want, rtol=1e-5, atol=1e-6):
    want = np.asarray(want)
    assert got.shape == want.shape, (got.shape, want.shape)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


def both(mlxcc, tmp_path, body, reference, **inputs):
    params = ", ".join(f"{k}: {type_of(v)}" for k, v in inputs.items())
    got = run(mlxcc, tmp_path, f"export fn main({params}) {{ {body} }}", "main", **inputs)
    want = jax.jit(reference)(**{k: jnp.asarray(v) for k, v in inputs.items()})
    want = want if isinstance(want, tuple) else (want,)
    for k, w in enumerate(want):
        same(got["out" if len(want) == 1 else f"out{k}"], w)


# --- wrong in MLX -------------------------------------------------------------------------------------------------------------------------


def test_vmap_of_a_slice_assignment_of_a_constant(mlxcc, tmp_path):
    """MLX writes the constant into batch element 0 only."""
    both(mlxcc, tmp_path, "return vmap(|r| { var y = r; y[0:2] = 7; return y; })(x);", lambda x: x.at[:, 0:2].set(7), x=f32(3, 4))


@pytest.mark.parametrize("op", ["add", "multiply", "maximum", "minimum"])
def test_vmap_of_an_update_of_a_slice_by_an_unmapped_value(mlxcc, tmp_path, op):
    jax_op = {"add": "add", "multiply": "multiply", "maximum": "max", "minimum": "min"}[op]
    both(mlxcc, tmp_path, f"return vmap(|r| r.at[1:3].{op}(c))(x);", lambda x, c: jax.vmap(lambda r: getattr(r.at[1:3], jax_op)(c))(x), x=f32(3, 4), c=f32(2))


def test_vmap_of_slice_update_with_an_unmapped_update(mlxcc, tmp_path):
    both(mlxcc, tmp_path, "return vmap(|r, i| slice_update(r, c, i, (0,)))(x, s);",
         lambda x, c, s: jax.vmap(lambda r, i: jax.lax.dynamic_update_slice(r, c, i))(x, s), x=f32(3, 6), c=f32(2), s=np.array([[0], [3], [4]], np.int32))


def test_addmm_jvp_uses_alpha_and_beta(mlxcc, tmp_path):
    """MLX ignores both in the tangent."""
    def reference(c, a, b, t, u, v):
        return jax.jvp(lambda c, a, b: 0.5 * (a @ b) + 3 * c, (c, a, b), (t, u, v))
    both(mlxcc, tmp_path, "let y, d = jvp(|c, a, b| addmm(c, a, b, alpha=0.5, beta=3.0), (c, a, b), (t, u, v)); return y, d;", reference,
         c=f32(2, 4), a=f32(2, 3), b=f32(3, 4), t=f32(2, 4), u=f32(2, 3), v=f32(3, 4))


def test_addmm_vmap_over_c_alone(mlxcc, tmp_path):
    both(mlxcc, tmp_path, "return vmap(|c| addmm(c, a, b))(c);", lambda c, a, b: jax.vmap(lambda c: a @ b + c)(c), c=f32(5, 2, 4), a=f32(2, 3), b=f32(3, 4))


def test_pad_with_a_traced_value(mlxcc, tmp_path):
    """MLX: the vjp crashes, the jvp drops the value's tangent, the vmap over the value is refused."""
    p = lambda x, v: jnp.pad(x, ((1, 2), (0, 1)), constant_values=v)
    w = f32(5, 4)
    both(mlxcc, tmp_path, """let f = |x, v| pad(x, ((1, 2), (0, 1)), constant_values=v);
  let g, h = grad(|x, v| sum(f(x, v) * w), argnums=(0, 1))(x, v);
  let y, t = jvp(f, (x, v), (x, v));
  return g, h, y, t, vmap(f, in_axes=(none, 0))(x, stack([v, 2 * v]));""",
         lambda x, v, w: (*jax.grad(lambda x, v: (p(x, v) * w).sum(), (0, 1))(x, v), *jax.jvp(p, (x, v), (x, v)), jax.vmap(p, (None, 0))(x, jnp.stack([v, 2 * v]))),
         x=f32(2, 3), v=np.float32(1.5), w=w)


def test_divmod_derivative_of_the_remainder(mlxcc, tmp_path):
    """MLX's cotangent is zero; d(a % b) = da - floor(a / b) db."""
    got = run(mlxcc, tmp_path, "export fn main(a: f32[3], b: f32[3]) { let g = grad(|a, b| sum(divmod(a, b)[1]), argnums=(0, 1))(a, b); return g[0], g[1]; }", "main",
              a=np.array([5.5, -3.2, 7.1], np.float32), b=np.array([2.0, 1.5, -3.0], np.float32))
    same(got["out0"], [1, 1, 1])
    same(got["out1"], [-2, 3, 3])


def test_divmod_vmap(mlxcc, tmp_path):
    both(mlxcc, tmp_path, "let q, r = vmap(divmod, in_axes=(0, none))(a, b); return q, r;", lambda a, b: (jnp.floor_divide(a, b), jnp.remainder(a, b)), a=f32(4, 3), b=f32(3))


@pytest.mark.parametrize("n", [1, 3, 8])
def test_one_program_for_every_size(mlxcc, tmp_path, n):
    """What mx.compile(shapeless=True) bakes in, refuses or reads out of bounds."""
    x = f32(n, n)
    got = run(mlxcc, tmp_path, """export fn main(x: f32[N, N], seed: u32) {
  let y = tril(x);
  let first, rest = split(x, [1], axis=0);
  var z = x;
  z[0] = 5;
  return y, x[:, ::-1], rest, pad(x, 1), repeat(x, 2, axis=0), z, x * x.shape[0], topk(x, 1, axis=0), random.uniform(shape=x.shape, key=random.key(seed));
}""", "main", x=x, seed=3)
    z = x.copy()
    z[0] = 5
    for k, w in enumerate([np.tril(x), x[:, ::-1], x[1:], np.pad(x, 1), np.repeat(x, 2, 0), z, x * n, x.max(0, keepdims=True)]):
        same(got[f"out{k}"], w)
    assert got["out8"].shape == (n, n)


def test_scatter_vmap_at_a_later_axis(mlxcc, tmp_path):
    both(mlxcc, tmp_path, "return vmap(|a| { var b = a; b[:, i] = u; return b; }, in_axes=2, out_axes=2)(x);",
         lambda x, i, u: jax.vmap(lambda a: a.at[:, i].set(u), in_axes=2, out_axes=2)(x), x=f32(2, 5, 3), i=np.array([4, 0], np.int32), u=f32(2, 2))


def test_gradient_of_a_strided_slice_of_one_element(mlxcc, tmp_path):
    both(mlxcc, tmp_path, "return grad(|x| sum(x[4:5:3] ** 2) + sum(x[::7] ** 3))(x);", lambda x: jax.grad(lambda x: (x[4:5:3] ** 2).sum() + (x[::7] ** 3).sum())(x), x=f32(6))


# --- refused by MLX -----------------------------------------------------------------------------------------------------------------------

JVP = {
    "cumprod": ("cumprod(x, axis=1)", lambda x: jnp.cumprod(x, 1)),
    "cummax": ("cummax(x, axis=1)", lambda x: jax.lax.cummax(x, 1)),
    "cummin": ("cummin(x, axis=0)", lambda x: jax.lax.cummin(x, 0)),
    "gather": ("x[[2, 0, 2], [1, 3, 0]]", lambda x: x[jnp.array([2, 0, 2]), jnp.array([1, 3, 0])]),
    "at_add": ("x.at[[0, 0, 2]].add(x[:1])", lambda x: x.at[jnp.array([0, 0, 2])].add(x[:1])),
    "at_multiply": ("x.at[[0, 2]].multiply(x[1:3])", lambda x: x.at[jnp.array([0, 2])].multiply(x[1:3], unique_indices=True)),
    "diag": ("diag(x[0])", lambda x: jnp.diag(x[0])),
    "checkpoint": ("checkpoint(|y| sin(y) * y)(x)", lambda x: jnp.sin(x) * x),
    "as_strided": ("as_strided(x, (2, 3), (4, 1), 1)", lambda x: jnp.stack([x.ravel()[1:4], x.ravel()[5:8]])),
    "slice_update": ("slice_update(x, x[:1, :2] * 2, array([1, 1]), (0, 1))", lambda x: jax.lax.dynamic_update_slice(x, x[:1, :2] * 2, (1, 1))),
    "sort": ("sort(x, axis=1)", lambda x: jnp.sort(x, 1)),
    "prod_with_a_zero": ("prod(x * (x > 0), axis=1)", lambda x: jnp.prod(x * (x > 0), 1)),
}


@pytest.mark.parametrize("name", JVP)
def test_forward_reverse_and_mixed_derivatives(mlxcc, tmp_path, name):
    """jvp, grad, and jvp of grad (a Hessian-vector product) of what MLX refuses in at least one of them."""
    text, f = JVP[name]
    x, t = f32(3, 4), f32(3, 4)
    h = lambda x: (f(x) ** 3).sum()
    both(mlxcc, tmp_path, f"""let f = |x| {text};
  let h = |x| sum(f(x) ** 3);
  let y, d = jvp(f, x, t);
  let g, hv = jvp(grad(h), x, t);
  return y, d, g, hv;""", lambda x, t: (*jax.jvp(f, (x,), (t,)), *jax.jvp(jax.grad(h), (x,), (t,))), x=x, t=t)


@pytest.mark.parametrize("name", JVP)
def test_vmap_of_the_gradient(mlxcc, tmp_path, name):
    text, f = JVP[name]
    both(mlxcc, tmp_path, f"return vmap(grad(|x| sum(({text}) ** 2)))(x);", lambda x: jax.vmap(jax.grad(lambda x: (f(x) ** 2).sum()))(x), x=f32(5, 3, 4))


def test_vmap_over_the_start_of_a_slice(mlxcc, tmp_path):
    both(mlxcc, tmp_path, "return vmap(|i| slice(x, i, (0,), (3, 2)))(s);", lambda x, s: jax.vmap(lambda i: jax.lax.dynamic_slice(x, (i[0], jnp.int32(0)), (3, 2)))(s),
         x=f32(7, 2), s=np.array([[0], [2], [4]], np.int32))


def test_vmap_over_the_sequence_of_searchsorted(mlxcc, tmp_path):
    x = np.sort(f32(4, 9), axis=1)
    both(mlxcc, tmp_path, "return vmap(|s| searchsorted(s, v))(x);", lambda x, v: jax.vmap(lambda s: jnp.searchsorted(s, v))(x).astype(np.uint32), x=x, v=f32(5))


def test_vmap_of_checkpoint_and_as_strided(mlxcc, tmp_path):
    both(mlxcc, tmp_path, "return vmap(checkpoint(|r| as_strided(r, (2, 3), (1, 2), 0)))(x);",
         lambda x: jnp.stack([jnp.stack([r[jnp.array([0, 2, 4])], r[jnp.array([1, 3, 5])]]) for r in x]), x=f32(4, 8))


def test_split_keys_under_vmap_are_distinct(mlxcc, tmp_path):
    got = run(mlxcc, tmp_path, "export fn main(s: u32) { return vmap(|k| random.uniform(shape=(4,), key=k))(random.split(random.key(s), 3)); }", "main", s=5)["out"]
    assert len(np.unique(got)) == 12


def test_hessian_and_jacobian(mlxcc, tmp_path):
    f = lambda x: jnp.sum(jnp.exp(x) * x[::-1]) + jnp.prod(x)
    g = lambda x: jnp.stack([x[0] * x[1], jnp.sin(x[2])])
    both(mlxcc, tmp_path, "return hessian(|x| sum(exp(x) * x[::-1]) + prod(x))(x), jacobian(|x| stack([x[0] * x[1], sin(x[2])]))(x);",
         lambda x: (jax.hessian(f)(x), jax.jacobian(g)(x)), x=f32(4))


def test_integer_matrix_product(mlxcc, tmp_path):
    a, b = rng.integers(-9, 9, (3, 4)).astype(np.int32), rng.integers(-9, 9, (4, 2)).astype(np.int32)
    got = run(mlxcc, tmp_path, "export fn main(a: i32[3, 4], b: i32[4, 2]) { return a @ b; }", "main", a=a, b=b)["out"]
    np.testing.assert_array_equal(got, a @ b)
    assert got.dtype == np.int32


def test_a_loop_a_branch_and_a_bounded_while(mlxcc, tmp_path):
    """MLX has no scan, while or cond."""
    def reference(x):
        def body(x):
            s = jax.lax.fori_loop(0, 5, lambda i, s: s + jnp.sin(x * (i + 1.0)) * s, x)
            return jnp.sum(jax.lax.cond(jnp.sum(s) > 0, lambda s: s * s, lambda s: -s, s))
        return jax.grad(body)(x)
    both(mlxcc, tmp_path, """return grad(|x| {
    var s = x;
    for i in 0..5 { s = s + sin(x * (i.astype(f32) + 1.0)) * s; }
    if sum(s) > 0 { s = s * s; } else { s = -s; }
    return sum(s);
  })(x);""", reference, x=f32(3))


# --- digits that MLX loses ------------------------------------------------------------------------------------------------------------------

DOUBLE = {
    "exp": (np.linspace(-700, 700, 301), 4e-16), "sin": (np.linspace(-50, 50, 301), 4e-16), "cos": (np.linspace(-50, 50, 301), 4e-16),
    "erf": (np.linspace(-5, 5, 301), 4e-16), "erfinv": (np.linspace(-0.999, 0.999, 301), 1e-14), "sigmoid": (np.linspace(-40, 40, 301), 1e-15),
    "tanh": (np.linspace(-5, 5, 301), 4e-16), "log1p": (np.linspace(-0.9, 5, 301), 4e-16),
}


@pytest.mark.parametrize("name", DOUBLE)
def test_f64_is_double(mlxcc, tmp_path, name):
    """MLX computes these in f32 digits."""
    special = pytest.importorskip("scipy.special")
    x, tol = DOUBLE[name]
    want = {"erf": special.erf, "erfinv": special.erfinv, "sigmoid": special.expit}.get(name, getattr(np, name, None))(x)
    got = run(mlxcc, tmp_path, f"export fn main(x: f64[301]) {{ return {name}(x); }}", "main", x=x)["out"]
    np.testing.assert_allclose(got, want, rtol=tol, atol=1e-300 if name != "sin" and name != "cos" else 1e-16)


def test_f64_softmax_and_logsumexp(mlxcc, tmp_path):
    x = rng.normal(size=(5, 7)) * 10
    got = run(mlxcc, tmp_path, "export fn main(x: f64[5, 7]) { return softmax(x, axis=-1), logsumexp(x, axis=-1); }", "main", x=x)
    p = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(got["out0"], p / p.sum(1, keepdims=True), rtol=1e-14)
    np.testing.assert_allclose(got["out1"], np.log(p.sum(1)) + x.max(1), rtol=1e-14)


def test_erf_near_zero(mlxcc, tmp_path):
    """MLX's erf(1e-6) is off by 5.6 %."""
    x = np.array([1e-6, -3e-8, 1e-20], np.float32)
    got = run(mlxcc, tmp_path, "export fn main(x: f32[3]) { return erf(x); }", "main", x=x)["out"]
    np.testing.assert_allclose(got, x * (2 / np.sqrt(np.pi)), rtol=3e-7)


def test_exp_in_f32_is_within_one_ulp(mlxcc, tmp_path):
    """MLX: 62 ulp on [-80, 80]."""
    x = np.linspace(-80, 80, 4001).astype(np.float32)
    got = run(mlxcc, tmp_path, "export fn main(x: f32[4001]) { return exp(x); }", "main", x=x)["out"]
    want = np.exp(x.astype(np.float64))
    assert np.max(np.abs(got - want) / np.spacing(want.astype(np.float32))) < 1.0


def test_a_running_sum_of_halves_does_not_stop_at_2048(mlxcc, tmp_path):
    got = run(mlxcc, tmp_path, "export fn main(x: f16[5000]) { return cumsum(x, axis=0), sum(x); }", "main", x=np.ones(5000, np.float16))
    assert got["out0"][-1] == 5000 and got["out1"] == 5000
