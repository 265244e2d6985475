"""grad, vjp, jvp, vmap, jacobian, hessian, linearize, checkpoint and custom derivatives as programs write them, against JAX."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mxrun import run, fails

jax.config.update("jax_enable_x64", True)
ENGINES = pytest.mark.parametrize("compiled", [False, True], ids=["interp", "C"])
RNG = np.random.default_rng(7)
f64 = np.float64


def close(got, want, rtol=1e-9, atol=1e-12):
    assert len(got) == len(want)
    for i, (g, w) in enumerate(zip(got, want)):
        w = np.asarray(w)
        assert g.shape == w.shape, (i, g.shape, w.shape)
        np.testing.assert_allclose(g, w, rtol=rtol, atol=atol, err_msg=str(i))


F = "fn f(x: f64[N]) -> f64[N] { return x ** 2 * sin(sum(x)); }\n"
ROSENBROCK = "fn rosenbrock(x: f64[N]) -> f64 { return sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2); }\n"
f = lambda x: x ** 2 * jnp.sin(jnp.sum(x))
rosenbrock = lambda x: jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@ENGINES
def test_jacobian_and_hessian(mlxcc, compiled):
    text = F + ROSENBROCK + """export fn main(x: f64[N]) {
  return jacobian(f)(x), jacobian(f, mode="forward")(x), jacobian(f, mode="reverse")(x), hessian(rosenbrock)(x), grad(rosenbrock)(x);
}"""
    for n in (3, 5):
        x = RNG.normal(size=n)
        j = jax.jacobian(f)(x)
        close(run(mlxcc, text, compiled=compiled, x=x), [j, j, j, jax.hessian(rosenbrock)(x), jax.grad(rosenbrock)(x)])


@ENGINES
def test_jacobian_of_trees(mlxcc, compiled):
    text = """fn g(p, s: f64) { return (a=p.w @ p.w.T * s, b=sum(p.w) * s); }
export fn main(w: f64[2, 3], s: f64) {
  let j = jacobian(g, argnums=(0, 1))((w=w, n=3), s);
  let one = jacobian(g, argnames="s")((w=w, n=3), s);
  assert j.a[0].n is none;
  return j.a[0].w, j.a[1], j.b[0].w, j.b[1], one.a;
}"""
    w, s = RNG.normal(size=(2, 3)), f64(1.5)
    g = lambda w, s: (w @ w.T * s, jnp.sum(w) * s)
    (a0, a1), (b0, b1) = jax.jacobian(g, argnums=(0, 1))(w, s)
    close(run(mlxcc, text, compiled=compiled, w=w, s=s), [a0, a1, b0, b1, a1])


@ENGINES
def test_value_and_grad_of_trees(mlxcc, compiled):
    text = """fn loss(p, x, n) { return sum(p.w @ x + p.b) ** 2 * n, x * 2; }
export fn main(w: f64[2, 3], b: f64[2], x: f64[3], n: i32) {
  let (v, aux), g = value_and_grad(loss)((w=w, b=b, k=n), x, n);
  assert g.k is none;
  let g0, g1 = grad(loss, argnums=(0, 1))((w=w, b=b), x, 3);
  let g2 = grad(loss, argnames="x")((w=w, b=b), x=x, n=3);
  let r = grad(loss, argnums=(1, 0))((w=w, b=b), x, 3);
  let named = grad(loss, argnames=["x", "p"])((w=w, b=b), x, n=3);
  return v, aux, g.w, g.b, g0.w, g1, g2, r[0], r[1].b, named.x, named.p.w;
}"""
    w, b, x, n = RNG.normal(size=(2, 3)), RNG.normal(size=2), RNG.normal(size=3), np.int32(4)
    loss = lambda w, b, x, n: jnp.sum(w @ x + b) ** 2 * n
    gw, gb = jax.grad(loss, (0, 1))(w, b, x, 4)
    hw, hb, hx = jax.grad(loss, (0, 1, 2))(w, b, x, 3)
    close(run(mlxcc, text, compiled=compiled, w=w, b=b, x=x, n=n), [loss(w, b, x, 4), x * 2, gw, gb, hw, hx, hx, hx, hb, hx, hw])


@ENGINES
def test_vjp_jvp_linearize(mlxcc, compiled):
    text = F + """export fn main(x: f64[3], c: f64[3]) {
  let y, (g,) = vjp(f, (x,), c);
  let y2, t = jvp(f, (x,), (c,));
  let y3, push = linearize(f, x);
  let _, bare = vjp(f, x, c);
  let y4, push2 = linearize(f)(x);
  let _, (ga, gb, gn) = vjp(|a, b, n| (a * b.k * n, n), (x, (k=c, i=1), 2), (c, none));
  assert gb.i is none;
  return y, g, y2, t, y3, push(c), bare, push2(c) + push2(x), ga, gb.k, gn;
}"""
    x, c = RNG.normal(size=3), RNG.normal(size=3)
    y, pull = jax.vjp(f, x)
    g, = pull(jnp.asarray(c))
    _, t = jax.jvp(f, (x,), (c,))
    _, t2 = jax.jvp(f, (x,), (x,))
    close(run(mlxcc, text, compiled=compiled, x=x, c=c), [y, g, y, t, y, t, g, t + t2, 2 * c * c, 2 * x * c, np.float32((x * c * c).sum())], rtol=1e-6)


@ENGINES
def test_pushforward_inside_other_transforms(mlxcc, compiled):
    """What linearize captured goes through vmap and grad."""
    text = F + """export fn main(x: f64[3], v: f64[4, 3]) {
  let _, push = linearize(f, x);
  return vmap(push)(v), grad(|a| sum(push(a) * a))(x), grad(|a| sum(linearize(f, a)[1](x)))(x);
}"""
    x, v = RNG.normal(size=3), RNG.normal(size=(4, 3))
    push = lambda t: jax.jvp(f, (x,), (t,))[1]
    close(run(mlxcc, text, compiled=compiled, x=x, v=v), [jax.vmap(push)(v), jax.grad(lambda a: jnp.sum(push(a) * a))(x),
                                       jax.grad(lambda a: jnp.sum(jax.jvp(f, (a,), (jnp.asarray(x),))[1]))(jnp.asarray(x))])


@ENGINES
def test_vmap(mlxcc, compiled):
    text = """export fn main(x: f64[4, 3], y: f64[5, 3], m: f64[3, 4], p: i32[4]) {
  let pair = vmap(|a| vmap(|b| sum(square(a - b)))(y))(x);
  let columns = vmap(|c| c @ c, in_axes=1)(m);
  let per = vmap(grad(|a, s| sum(a ** 3) * s), in_axes=(0, none))(x, 2.0);
  let tree = vmap(|p| (a=p.u * 2, b=p.v), in_axes=((u=0, v=none),))((u=x, v=y));
  let negative = vmap(|c| c * 2, in_axes=-1, out_axes=-1)(m);
  let same = vmap(|a, b| (a + b, b), in_axes=(0, none), out_axes=(0, none))(x, y[0]);
  let rows = vmap(|a, i| a[i % 3])(x, p);
  return pair, columns, per, tree.a, tree.b, vmap(|a| a, out_axes=1)(x), negative, same[0], same[1], rows;
}"""
    x, y, m, p = RNG.normal(size=(4, 3)), RNG.normal(size=(5, 3)), RNG.normal(size=(3, 4)), np.array([0, 5, 2, 1], np.int32)
    pair = ((x[:, None] - y[None]) ** 2).sum(-1)
    close(run(mlxcc, text, compiled=compiled, x=x, y=y, m=m, p=p),
          [pair, (m * m).sum(0), 6 * x ** 2, x * 2, np.broadcast_to(y, (4, 5, 3)), x.T, m * 2, x + y[0], y[0], x[np.arange(4), p % 3]])


@ENGINES
def test_custom_rules(mlxcc, compiled):
    """A rule replaces the derivative, in both modes, under vmap, and may capture tensors."""
    text = """const norm0 = custom_jvp(|x| linalg.norm(x), |primals, tangents| {
  let (x,) = primals;
  let (v,) = tangents;
  let n = linalg.norm(x);
  return where(n > 0, sum(x * v) / maximum(n, 1e-30), 0);
});
const product = custom_vjp(|x, y| sum(x * y), |primals, c, out| {
  let x, y = primals;
  return c * y * 10, c * x + 0 * out;
});
export fn main(x: f64[3], y: f64[3], s: f64) {
  let a, b = grad(product, argnums=(0, 1))(x, y);
  let _, t = jvp(product, (x, y), (y, x));
  let scaled = custom_vjp(|v| sum(v) * s, |primals, c, out| c * s * 100 * ones_like(primals[0]));
  let tree = custom_vjp(|p| p.u * p.v, |primals, c, out| ((u=c * 3, v=none),));
  let g = grad(|p| sum(tree(p)))((u=x, v=y));
  return grad(norm0)(x * 0), grad(norm0)(x), a, b, t, vmap(grad(product))(stack([x, y]), stack([y, y])), grad(scaled)(x), g.u, g.v,
         jacobian(|v| norm0(v) * v)(x), product(x, y);
}"""
    x, y, s = RNG.normal(size=3), RNG.normal(size=3), f64(2.5)
    n = np.linalg.norm(x)
    t = 10 * (y * y).sum() + (x * x).sum()
    close(run(mlxcc, text, compiled=compiled, x=x, y=y, s=s),
          [np.zeros(3), x / n, 10 * y, x, t, np.stack([10 * y, 10 * y]), np.full(3, 100 * s), np.full(3, 3.0), np.zeros(3),
           jax.jacobian(lambda v: jnp.linalg.norm(v) * v)(x), (x * y).sum()])


@ENGINES
def test_checkpoint_and_orders(mlxcc, compiled):
    text = """export fn main(x: f64[3], a: f64) {
  let h = |v| sum(sin(v) * v);
  return grad(checkpoint(h))(x), checkpoint(h)(x), grad(grad(|v| v ** 4))(a), grad(grad(grad(|v| exp(2 * v))))(a), grad(|v| sin(v))(2.0), grad(|v| v * v)(3),
         jvp(grad(h), (x,), (x,))[1], grad(|v| sum(stop_gradient(v) * v))(x), vmap(hessian(|v| sum(v ** 3)))(stack([x, x]));
}"""
    x, a = RNG.normal(size=3), f64(0.7)
    h = lambda v: jnp.sum(jnp.sin(v) * v)
    want = [jax.grad(h)(x), h(x), 12 * a ** 2, 8 * np.exp(2 * a), np.float32(np.cos(2)), np.float32(6), jax.jvp(jax.grad(h), (x,), (x,))[1], x,
            np.stack([np.diag(6 * x)] * 2)]
    close(run(mlxcc, text, compiled=compiled, x=x, a=a), want, rtol=1e-6)


@ENGINES
def test_inout_through_transforms(mlxcc, compiled):
    text = """fn step(inout s, x) {
  s.count += 1;
  s.total = s.total + x;
  return sum(s.total * x);
}
export fn main(t: f64[3], x: f64[3], xs: f64[4, 3]) {
  var s = (count=i32(0), total=t);
  let v, g = value_and_grad(step, argnums=1)(inout s, x);
  let c = grad(step, argnums=1)(inout s, x);
  var many = (count=zeros(4, dtype=i32), total=xs);
  let r = vmap(step)(inout many, xs);
  return v, g, c, s.count, s.total, many.count, many.total, r;
}"""
    t, x, xs = RNG.normal(size=3), RNG.normal(size=3), RNG.normal(size=(4, 3))
    loss = lambda x, t: jnp.sum((t + x) * x)
    close(run(mlxcc, text, compiled=compiled, t=t, x=x, xs=xs), [loss(x, t), jax.grad(loss)(x, t), jax.grad(loss)(x, t + x), 2, t + 2 * x, np.ones(4), 2 * xs, (2 * xs * xs).sum(1)])


@ENGINES
def test_modules(mlxcc, compiled):
    text = """import nn;
const Net = nn.Linear(3, 2);
fn loss(net: Net, x: f32[3]) { return sum(net(x) ** 2); }
export fn main(net: Net, x: f32[3]) {
  let v, g = value_and_grad(loss)(net, x);
  let per = vmap(grad(loss), in_axes=(none, 0))(net, stack([x, 2 * x]));
  let dx = grad(|v| sum(net(v)))(x);
  let frozen = nn.freeze(net, |path| path == "bias");
  let h = grad(|n| sum(n(x) ** 2))(frozen);
  assert h.bias is none and trainable(frozen).bias is none;
  assert typeof(nn.set_dtype(net, f16)).weight == f16[2, 3];
  return v, g.weight, g.bias, per.weight, dx, h.weight, nn.set_dtype(net, f64).weight;
}"""
    w, b, x = [RNG.normal(size=s).astype(np.float32) for s in ((2, 3), 2, 3)]
    loss = lambda w, b, x: jnp.sum((w @ x + b) ** 2)
    gw, gb = jax.grad(loss, (0, 1))(w, b, x)
    per = np.stack([jax.grad(loss)(w, b, x), jax.grad(loss)(w, b, 2 * x)])
    got = run(mlxcc, text, compiled=compiled, **{"net.weight": w, "net.bias": b, "x": x})
    close(got, [loss(w, b, x), gw, gb, per, w.sum(0), gw, w], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("e, label", [("grad(|v| v)(x)", "grad.scalar"), ("grad(|v| sum(v))(n)", "grad."), ("vmap(|a, b| a + b)(x, y)", "vmap.size"),
                                      ("vmap(|a| a, in_axes=none)(x)", "vmap.axes"), ("vjp(|v| v, (x,), y)", "tangent.type"), ("grad(x)", "call.kind")])
def test_mistakes(mlxcc, e, label):
    code, err = fails(mlxcc, f"export fn main(x: f32[3], y: f32[4], n: i32[2]) {{ let r = {e}; return r; }}")
    assert code == 1 and f"error[{label}" in err and "bug" not in err, err
