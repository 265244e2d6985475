"""A pipe to transform_tool, a small writer of IR text, and the checks that every derivative and every batching rule has to pass."""
import itertools
import re
import subprocess
import threading

import ml_dtypes
import numpy as np

NP = {"bool": np.bool_, "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64, "i8": np.int8, "i16": np.int16, "i32": np.int32,
      "i64": np.int64, "f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64, "c64": np.complex64}
NAME = {np.dtype(v): k for k, v in NP.items()}
DIFF = ("f16", "bf16", "f32", "f64", "c64")


class ToolError(Exception):
    pass


class Tool:
    """One transform_tool process; a crash is an error of the case that caused it, and a new process serves the next."""

    def __init__(self, path):
        self.path, self.p = path, None

    def _start(self):
        self.p = subprocess.Popen([self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _send(self, line, payload=b""):
        if self.p is None or self.p.poll() is not None:
            self._start()
        self.p.stdin.write(line.encode() + b"\n" + payload)
        self.p.stdin.flush()

    def _answer(self):
        line = self.p.stdout.readline().decode().split()
        if not line:
            code = self.p.wait()
            self.p = None
            raise ToolError(f"transform_tool ended with {code}")
        if line[0] == "error":
            raise ToolError(self.p.stdout.read(int(line[1])).decode())
        return line[1:]

    def _ask(self, line, payload=b""):
        self._send(line, payload)
        return self._answer()

    def module(self, text):
        if "module" not in text.split("\n")[0]:
            text = 'module "t"\n' + text
        b = text.encode()
        self._ask(f"module {len(b)}", b)
        return self

    def jvp(self, f, active):
        name, *m = self._ask(f"jvp {f} {bits(active)}")
        return name, [c == "1" for c in (m[0] if m else "")]

    def vjp(self, f, active, seeded, values=True):
        return self._ask(f"vjp {f} {bits(active)} {bits(seeded)} {int(values)}")[0]

    def grad(self, f, active, values=False):
        return self._ask(f"grad {f} {bits(active)} {int(values)}")[0]

    def vmap(self, f, batched, n, all_out=True):
        name, *m = self._ask(f"vmap {f} {bits(batched)} {n} {int(all_out)}")
        return name, [c == "1" for c in (m[0] if m else "")]

    def linearize(self, f, active):
        return self._ask(f"linearize {f} {bits(active)}")

    def transpose(self, f, linear):
        return self._ask(f"transpose {f} {bits(linear)}")[0]

    def inline(self, f):
        return self._ask(f"inline {f}")[0]

    def count(self, f):
        return tuple(int(x) for x in self._ask(f"count {f}"))

    def text(self, f):
        return self.p.stdout.read(int(self._ask(f"text {f}")[0])).decode()

    def export(self, f):
        return self.p.stdout.read(int(self._ask(f"export {f}")[0])).decode()

    def funcs(self):
        return self.p.stdout.read(int(self._ask("funcs")[0])).decode().split()

    def eval(self, f, *args):
        out = [f"eval {f} {len(args)}\n".encode()]
        for a in args:
            a = np.asarray(a)
            out.append((" ".join([NAME[a.dtype], *map(str, [a.ndim, *a.shape])]) + "\n").encode())
            out.append(np.ascontiguousarray(a).tobytes())
        payload = b"".join(out)
        if self.p is None or self.p.poll() is not None:
            self._start()
        writer = threading.Thread(target=self._write, args=(payload,))
        writer.start()
        head = self._answer_after(writer)
        self.prints = int(head[1])
        return [self._tensor() for _ in range(int(head[0]))]

    def _write(self, payload):
        try:
            self.p.stdin.write(payload)
            self.p.stdin.flush()
        except (BrokenPipeError, AttributeError):
            pass

    def _answer_after(self, writer):
        try:
            return self._answer()
        finally:
            writer.join(5)

    def _tensor(self):
        d, _, *shape = self.p.stdout.readline().decode().split()
        shape = [int(s) for s in shape]
        n = int(np.prod(shape)) if shape else 1
        data = self.p.stdout.read(n * np.dtype(NP[d]).itemsize)
        return np.frombuffer(data, NP[d]).reshape(shape).copy()


def bits(m):
    return "".join("1" if x else "0" for x in m) or "-"


# --- writing IR -----------------------------------------------------------------------------------------------------------
class Fn:
    """Writes one function: f = Fn("f", "f64[3]", "f64[3]"); y = f("mul", *f.p); f.ret(("f64[3]", y))."""

    def __init__(self, name, *types, header="", names=None):
        self.name, self.types, self.header, self.n = name, types, header, 0
        self.p = [names[k] if names else f"%p{k}" for k in range(len(types))]
        self.lines, self.depth, self.results = [], 1, []

    def new(self):
        self.n += 1
        return f"%v{self.n}"

    def __call__(self, op, *ins, attrs="", n=1):
        outs = [self.new() for _ in range(n)]
        left = f"{', '.join(outs)} = " if n else ""
        self.line(f"{left}{op} {', '.join(ins)}" + (f" {{{attrs}}}" if attrs else ""))
        return outs[0] if n == 1 else outs

    def line(self, s):
        self.lines.append("  " * self.depth + s)

    def const(self, dtype, x=0):
        x = str(x) if not isinstance(x, bool) else str(x).lower()
        return self("const", attrs=f"value={dtype}({x})")

    def splat(self, dtype, shape, x):
        return self("broadcast", self.const(dtype, x), attrs=f"shape=[{shape}], dims=[]") if shape != "" else self.const(dtype, x)

    def sum(self, x, rank):
        return self("reduce_sum", x, attrs=f"axes={list(range(rank))}".replace(" ", "")) if rank else x

    def region(self, word, params, body):
        ps = [self.new() for _ in params]
        self.lines[-1] += f" {word}({', '.join(f'{p}: {t}' for p, t in zip(ps, params))}) {{"
        self.depth += 1
        ys = body(*ps)
        self.line("yield " + ", ".join(ys))
        self.depth -= 1
        self.line("}")

    def loop(self, carries, body, xs=(), trips=None, limit=None, cont=None, reverse=False, ny=0, remat=None):
        """carries: [(value, type)]; xs: [(value, row type)]; body(i, *carries, *rows) -> yields."""
        ins = [c for c, _ in carries] + [x for x, _ in xs] + ([limit] if limit else [])
        attrs = (f"trips={trips}, " if trips is not None else "") + f"ncarry={len(carries)}, nscan={len(xs)}, "
        attrs += f"reverse={str(reverse).lower()}, limit={str(limit is not None).lower()}" + (f', remat="{remat}"' if remat else "")
        outs = self("loop", *ins, attrs=attrs, n=len(carries) + ny)
        self.region("do", ["i32"] + [t for _, t in carries] + [t for _, t in xs], body)
        if cont:
            self.region("while", [t for _, t in carries], lambda *c: [cont(*c)])
        return outs if isinstance(outs, list) else [outs]

    def cond(self, p, then, other, n=1):
        outs = self("cond", p, n=n)
        self.region("then", [], then)
        self.region("else", [], other)
        return outs if isinstance(outs, list) else [outs]

    def call(self, f, *ins, to):
        """to: result types, comma separated."""
        outs = self("call", *ins, attrs=f"func=@{f}", n=len(to.split(", ")))
        self.lines[-1] += f" : {to}"
        return outs

    def ret(self, *typed):
        self.results = typed
        return self

    def __str__(self):
        ps = ", ".join(f"{p}: {t}" for p, t in zip(self.p, self.types))
        return (f"func @{self.name}({ps}) -> ({', '.join(t for t, _ in self.results)}) {self.header} {{\n" + "\n".join(self.lines) +
                f"\n  return {', '.join(v for _, v in self.results)}\n}}\n")


def parse_type(t):
    d, _, dims = t.partition("[")
    return d, [x for x in dims.rstrip("]").split(",") if x]


def with_sizes(t, sizes):
    """Numbers for symbols: ("f64", (3, 4)) from "f64[N,4]"."""
    d, dims = parse_type(t)
    return d, tuple(int(eval(x, {}, dict(sizes))) for x in dims)


def prepend(t, n):
    d, dims = parse_type(t)
    return f"{d}[{','.join([str(n)] + dims)}]"


# --- checks -----------------------------------------------------------------------------------------------------------------
def wide(x):
    x = np.asarray(x)
    return x.astype(np.complex128) if x.dtype.kind == "c" else x.astype(np.float64)


def dot(a, b):
    """Re <a, b>."""
    return float(np.real(np.sum(np.conj(wide(a)) * wide(b))))


def near(a, b, tol, what=""):
    a, b = wide(a), wide(b)
    assert a.shape == b.shape, f"{what}: shapes {a.shape} and {b.shape}"
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    scale = 1 + np.max(np.abs(b[np.isfinite(b)]), initial=0)
    with np.errstate(invalid="ignore"):
        bad = ~same & ~(np.abs(a - b) <= tol * scale)
    assert not bad.any(), f"{what}: got {a[bad][:4]}, want {b[bad][:4]} (of {bad.sum()} that differ)"


def random_like(r, x):
    x = np.asarray(x)
    t = r.standard_normal(x.shape)
    if x.dtype.kind == "c":
        t = t + 1j * r.standard_normal(x.shape)
    return np.asarray(t).astype(x.dtype)


def shifted(x, t, h):
    return (wide(x) + h * wide(t)).astype(np.asarray(x).dtype)


def check_jvp_fd(tool, f, args, active, seed=0, h=1e-6, tol=1e-6):
    """jvp against central differences in f64 (f32 carriers of c64: a wider step)."""
    r = np.random.default_rng(seed)
    t = [random_like(r, a) for a, k in zip(args, active) if k]
    name, mask = tool.jvp(f, active)
    it = iter(t)
    tan = [next(it) if k else None for k in active]
    out = tool.eval(name, *args, *t)
    n = len(mask)
    up = tool.eval(f, *[a if d is None else shifted(a, d, h) for a, d in zip(args, tan)])
    down = tool.eval(f, *[a if d is None else shifted(a, d, -h) for a, d in zip(args, tan)])
    got = iter(out[n:])
    for k, m in enumerate(mask):
        if NAME[out[k].dtype] not in DIFF:
            assert not m
            continue
        fd = (wide(up[k]) - wide(down[k])) / (2 * h)
        near(next(got) if m else np.zeros(out[k].shape), fd, tol, f"jvp of result {k} of {f}")
    return t


def check_adjoint(tool, f, args, active, seed=1, tol=1e-9):
    """Re <g, J t> = Re <J^H g, t> for every result that has a tangent."""
    r = np.random.default_rng(seed)
    t = [random_like(r, a) for a, k in zip(args, active) if k]
    name, mask = tool.jvp(f, active)
    out = tool.eval(name, *args, *t)
    n = len(mask)
    floats = [NAME[o.dtype] in DIFF for o in out[:n]]
    g = [random_like(r, o) for o, m in zip(out[:n], floats) if m]
    it = iter(out[n:])
    jt = [next(it) if m else np.zeros(o.shape) for m, o, fl in zip(mask, out[:n], floats) if fl]
    back = tool.vjp(f, active, floats)
    res = tool.eval(back, *args, *g)
    for a, b in zip(res[:n], out[:n]):
        near(a, b, 1e-12, "values of vjp")
    left = sum(dot(a, b) for a, b in zip(g, jt))
    right = sum(dot(a, b) for a, b in zip(res[n:], t))
    size = sum(float(np.sum(np.abs(wide(a)) * np.abs(wide(b)))) for a, b in zip(g, jt))
    assert abs(left - right) <= tol * (1 + size), f"adjoint of {f}: {left} and {right}"
    for a, k in zip(args, active):
        pass
    assert len(res) == n + sum(active)
    for c, a in zip(res[n:], [a for a, k in zip(args, active) if k]):
        assert c.dtype == np.asarray(a).dtype and c.shape == np.asarray(a).shape
    return g, res[n:]


def scalarised(f, types, results, name="s"):
    """A function of f's arguments and weights: sum over its differentiable results of weight * sin(result)."""
    s = Fn(name, *types, *[t for t in results if parse_type(t)[0] in DIFF])
    outs = s.call(f, *s.p[:len(types)], to=", ".join(results))
    outs = outs if isinstance(outs, list) else [outs]
    w, total, last = iter(s.p[len(types):]), None, None
    for o, t in zip(outs, results):
        d, dims = parse_type(t)
        if d not in DIFF:
            continue
        x = s("mul", s("sin", o), next(w))
        if d == "c64":
            x, d = s("real", x), "f32"
        x = s.sum(x, len(dims))
        assert last in (None, d), "results of one dtype"
        total, last = (x if total is None else s("add", total, x)), d
    return s.ret((last, total))


def check_second_order(tool, s, args, active, seed=2, h=1e-6, tol=2e-6):
    """jvp of grad and grad of <grad, t> of a scalar function against differences of grad."""
    r = np.random.default_rng(seed)
    t = [random_like(r, a) if k else None for a, k in zip(args, active)]
    g = tool.grad(s, active)
    up = tool.eval(g, *[a if d is None else shifted(a, d, h) for a, d in zip(args, t)])
    down = tool.eval(g, *[a if d is None else shifted(a, d, -h) for a, d in zip(args, t)])
    fd = [(wide(u) - wide(d)) / (2 * h) for u, d in zip(up, down)]
    gj, mask = tool.jvp(g, active)
    out = tool.eval(gj, *args, *[d for d in t if d is not None])
    it = iter(out[len(mask):])
    fwd = [next(it) if m else np.zeros(o.shape) for m, o in zip(mask, out)]
    for a, b in zip(fwd, fd):
        near(a, b, tol, "forward over reverse")
    seeded = [True] * len(mask)
    gg = tool.vjp(g, active, seeded, False)
    rev = tool.eval(gg, *args, *[d for d in t if d is not None])
    for a, b in zip(rev, fd):
        near(a, b, tol, "reverse over reverse")


def check_batch(tool, f, args, twice=False, tol=1e-12, seed=3, vary=None, n=3, subsets=None):
    """Every subset of operands batched, against one evaluation per lane. vary(arg, rng): another argument of the same kind."""
    r = np.random.default_rng(seed)
    lanes = [[a if k == 0 or vary is None else vary(i, a, r) for k in range(n)] for i, a in enumerate(args)]
    idx = range(len(args))
    for size in range(1, len(args) + 1):
        for sub in itertools.combinations(idx, size):
            if subsets is not None and sub not in subsets:
                continue
            m = [i in sub for i in idx]
            name, mask = tool.vmap(f, m, n)
            given = [np.stack(lanes[i]) if m[i] else args[i] for i in idx]
            got = tool.eval(name, *given)
            want = [tool.eval(f, *[lanes[i][k] if m[i] else args[i] for i in idx]) for k in range(n)]
            for j, o in enumerate(got):
                near(o, np.stack([w[j] for w in want]), tol, f"vmap {bits(m)} of {f}, result {j}")
            if twice:
                again, _ = tool.vmap(name, m, 2)
                both = tool.eval(again, *[np.stack([a, a[::-1]]) if k else a for a, k in zip(given, m)])
                for j, o in enumerate(both):
                    near(o, np.stack([got[j], got[j][::-1]]), tol, f"vmap of vmap {bits(m)} of {f}, result {j}")


def sizes_in(t):
    return set(re.findall(r"[A-Za-z_]\w*", t.partition("[")[2]))
