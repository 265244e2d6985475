"""Random well-typed .mx programs, for differential tests: the interpreter and the emitted C must agree on each.

A program is one exported function. It starts from a few parameters and grows a pool of values (name, dtype, shape); each statement picks an operation and
operands from the pool that fit. Shapes are tuples of ints and, for functions with a run-time dimension, the string "N". The same seed gives the same text.

    python tests/fuzz/programs.py SEED COUNT > programs.mx
"""
import random
import sys

FLOATS = ["f32", "f32", "f32", "f64", "f16", "bf16"]
INTS = ["i32", "i32", "u8", "i8", "i16", "u16", "u32", "i64", "u64"]
SMOOTH = ["tanh", "sin", "cos", "sigmoid", "exp", "square", "erf", "abs", "negative"]


class Program:
    def __init__(self, rng, name):
        self.rng, self.name, self.lines, self.pool, self.n = rng, name, [], [], 0
        self.symbolic = rng.random() < 0.3

    # --- the pool
    def dim(self):
        return "N" if self.symbolic and self.rng.random() < 0.4 else self.rng.randint(1, 5)

    def shape(self, most=3):
        return tuple(self.dim() for _ in range(self.rng.choice([0, 1, 1, 2, 2, 2, 3][: 4 + most])))

    def dtype(self):
        return self.rng.choice(FLOATS + FLOATS + INTS + ["bool"])

    def add(self, expr, dtype, shape, indent="  "):
        name = f"v{self.n}"
        self.n += 1
        self.lines.append(f"{indent}let {name} = {expr};")
        self.pool.append((name, dtype, shape))

    def pick(self, test=lambda d, s: True):
        fit = [v for v in self.pool if test(v[1], v[2])]
        return self.rng.choice(fit) if fit else None

    # --- statements: each returns False when nothing in the pool fits
    def unary(self):
        v = self.pick(lambda d, s: d in FLOATS)
        if not v:
            return False
        fn = self.rng.choice(SMOOTH + ["sqrt", "log1p", "floor", "ceil", "round", "sign", "relu", "softplus", "isnan", "rsqrt", "arctan", "expm1"])
        x = f"abs({v[0]})" if fn in ("sqrt", "log1p", "rsqrt") else v[0]
        self.add(f"{fn}({x})", "bool" if fn == "isnan" else v[1], v[2])

    def integer_unary(self):
        v = self.pick(lambda d, s: d in INTS)
        if not v:
            return False
        self.add(self.rng.choice([f"~{v[0]}", f"abs({v[0]})", f"sign({v[0]})", f"-{v[0]}"]), v[1], v[2])

    def binary(self):
        v = self.pick(lambda d, s: d != "bool")
        w = self.pick(lambda d, s: d == v[1] and (s == v[2] or s == v[2][1:] or s == ())) if v else None
        if not w:
            return False
        a, b = (v[0], w[0]) if self.rng.random() < 0.5 else (w[0], v[0])
        ops = ["+", "-", "*", "//", "%"] + (["/"] if v[1] in FLOATS else ["&", "|", "^", "<<", ">>"])
        if self.rng.random() < 0.25:
            self.add(f"{self.rng.choice(['maximum', 'minimum'])}({a}, {b})", v[1], v[2])
        else:
            self.add(f"{a} {self.rng.choice(ops)} {b}", v[1], v[2])

    def with_number(self):
        v = self.pick(lambda d, s: d != "bool")
        if not v:
            return False
        k = self.rng.choice(["2", "3", "5", "1", "7"]) if v[1] in INTS else self.rng.choice(["0.5", "2", "-1.25", "3.0"])
        self.add(f"{v[0]} {self.rng.choice('+-*')} {k}", v[1], v[2])

    def compare(self):
        v = self.pick()
        w = self.pick(lambda d, s: d == v[1] and s == v[2])
        self.add(f"{v[0]} {self.rng.choice(['<', '<=', '==', '!=', '>', '>='])} {w[0]}", "bool", v[2])

    def where(self):
        p = self.pick(lambda d, s: d == "bool")
        a = self.pick(lambda d, s: p and s == p[2])
        b = self.pick(lambda d, s: a and d == a[1] and s == a[2])
        if not b:
            return False
        self.add(f"where({p[0]}, {a[0]}, {b[0]})", a[1], a[2])

    def logic(self):
        v = self.pick(lambda d, s: d == "bool")
        w = self.pick(lambda d, s: v and d == "bool" and s == v[2])
        if not w:
            return False
        self.add(f"{v[0]} {self.rng.choice(['and', 'or'])} not {w[0]}", "bool", v[2])

    def cast(self):
        v = self.pick()
        t = self.dtype()
        self.add(f"{v[0]}.astype({t})", t, v[2])

    def reduce(self):
        v = self.pick(lambda d, s: len(s) > 0)
        if not v:
            return False
        axis = self.rng.randrange(len(v[2]))
        rest = v[2][:axis] + v[2][axis + 1:]
        fn = self.rng.choice(["max", "min", "argmax", "argmin", "sum", "prod", "any", "all"] + (["mean", "logsumexp"] if v[1] in FLOATS else []))
        if fn in ("argmax", "argmin"):
            return self.add(f"{fn}({v[0]}, axis={axis})", "u32", rest)
        if fn in ("any", "all"):
            return self.add(f"{fn}({v[0]}, axis={axis})", "bool", rest)
        t = v[1]
        if fn in ("sum", "prod"):
            t = {"bool": "i32", "i8": "i32", "i16": "i32", "u8": "u32", "u16": "u32"}.get(t, t)
        if self.rng.random() < 0.3:
            self.add(f"{fn}({v[0]}, axis={axis}, keepdims=true)", t, v[2][:axis] + (1,) + v[2][axis + 1:])
        else:
            self.add(f"{fn}({v[0]}, axis={axis})", t, rest)

    def scan(self):
        v = self.pick(lambda d, s: len(s) > 0 and d != "bool")
        if not v:
            return False
        fn = self.rng.choice(["cumsum", "cumsum", "cumprod", "cummax", "cummin"])
        extra = self.rng.choice(["", ", reverse=true"])
        self.add(f"{fn}({v[0]}, axis={self.rng.randrange(len(v[2]))}{extra})", v[1], v[2])

    def sort(self):
        v = self.pick(lambda d, s: len(s) > 0 and d != "bool")
        if not v:
            return False
        axis = self.rng.randrange(len(v[2]))
        fn = self.rng.choice(["sort", "argsort"])
        self.add(f"{fn}({v[0]}, axis={axis})", v[1] if fn == "sort" else "u32", v[2])

    def softmax(self):
        v = self.pick(lambda d, s: d in FLOATS and len(s) > 0)
        if not v:
            return False
        self.add(f"softmax({v[0]}, axis=-1)", v[1], v[2])

    def move(self):
        v = self.pick(lambda d, s: len(s) > 0)
        if not v:
            return False
        x, t, s = v
        kind = self.rng.randrange(9)
        if kind == 0:
            perm = list(range(len(s)))
            self.rng.shuffle(perm)
            self.add(f"transpose({x}, {', '.join(map(str, perm))})", t, tuple(s[i] for i in perm))
        elif kind == 1:
            axis = self.rng.randrange(len(s))
            self.add(f"flip({x}, axis={axis})", t, s)
        elif kind == 2:
            axis = self.rng.randrange(len(s))
            if s[axis] == "N":
                return False
            lo = self.rng.randrange(s[axis])
            hi = self.rng.randint(lo + 1, s[axis])
            at = ", ".join([":"] * axis + [f"{lo}:{hi}"])
            self.add(f"{x}[{at}]", t, s[:axis] + (hi - lo,) + s[axis + 1:])
        elif kind == 3:
            axis = self.rng.randrange(len(s))
            w = self.pick(lambda d, z: d == t and len(z) == len(s) and z[:axis] + z[axis + 1:] == s[:axis] + s[axis + 1:])
            if "N" in (s[axis], w[2][axis]):
                return False
            self.add(f"concatenate([{x}, {w[0]}], axis={axis})", t, s[:axis] + (s[axis] + w[2][axis],) + s[axis + 1:])
        elif kind == 4:
            self.add(f"expand_dims({x}, 0)", t, (1,) + s)
        elif kind == 5 and t != "bool":
            lo, hi = self.rng.randint(0, 2), self.rng.randint(0, 2)
            if s[-1] == "N":
                return False
            widths = ", ".join(["(0, 0)"] * (len(s) - 1) + [f"({lo}, {hi})"])
            self.add(f"pad({x}, [{widths}])", t, s[:-1] + (s[-1] + lo + hi,))
        elif kind == 6:
            self.add(f"stack([{x}, {x}], axis=0)", t, (2,) + s)
        elif kind == 7:
            if "N" in s:
                return False
            total = 1
            for n in s:
                total *= n
            self.add(f"reshape({x}, {total})", t, (total,))
        else:
            axis = self.rng.randrange(len(s))
            if s[axis] == "N":
                return False
            i = self.rng.randrange(-s[axis], s[axis])
            at = ", ".join([":"] * axis + [str(i)])
            self.add(f"{x}[{at}]", t, s[:axis] + s[axis + 1:])
        if len(self.pool[-1][2]) > 4:
            self.pool.pop()

    def gather(self):
        v = self.pick(lambda d, s: len(s) > 0)
        i = self.pick(lambda d, s: d in ("i32", "u8", "i64", "u32", "i8") and len(s) == 1)
        if not v or not i:
            return False
        self.add(f"{v[0]}[{i[0]}]", v[1], i[2] + v[2][1:])

    def scatter(self):
        v = self.pick(lambda d, s: len(s) == 1 and d != "bool")
        i = self.pick(lambda d, s: d in ("i32", "u8", "u32") and len(s) == 1)
        if not v or not i:
            return False
        name = f"v{self.n}"
        self.n += 1
        if self.rng.random() < 0.5:
            self.lines.append(f"  let {name} = {v[0]}.at[{i[0]}].add(2);")
        else:
            self.lines.append(f"  var {name} = {v[0]};\n  {name}[{i[0]}] = 1;")
        self.pool.append((name, v[1], v[2]))

    def matmul(self):
        a = self.pick(lambda d, s: d != "bool" and len(s) == 2)
        b = self.pick(lambda d, s: a and d == a[1] and len(s) == 2 and s[0] == a[2][1])
        if not b:
            return False
        self.add(f"{a[0]} @ {b[0]}", a[1], (a[2][0], b[2][1]))

    def smooth(self, x, depth):
        e = x
        for _ in range(depth):
            k = self.rng.randrange(4)
            if k == 0:
                e = f"{self.rng.choice(SMOOTH)}({e})"
            elif k == 1:
                e = f"({e} * {x})"
            elif k == 2:
                e = f"({e} + 0.5)"
            else:
                e = f"({e} - {self.rng.choice(SMOOTH)}({x}))"
        return e

    def grad(self):
        v = self.pick(lambda d, s: d in ("f32", "f64"))
        if not v:
            return False
        body = f"sum({self.smooth('t', self.rng.randint(1, 4))})"
        fn = f"|t| {body}"
        if self.rng.random() < 0.25:
            self.add(f"jvp({fn}, ({v[0]},), ({v[0]},))[1]", v[1], ())
        elif self.rng.random() < 0.3:
            self.add(f"grad(|u| sum(grad({fn})(u)))({v[0]})", v[1], v[2])
        else:
            self.add(f"grad({fn})({v[0]})", v[1], v[2])

    def vmap(self):
        v = self.pick(lambda d, s: d in FLOATS and len(s) > 0)
        if not v:
            return False
        self.add(f"vmap(|t| {self.smooth('t', 2)})({v[0]})", v[1], v[2])

    def loop(self):
        v = self.pick(lambda d, s: d in FLOATS and len(s) > 0)
        w = self.pick(lambda d, s: v and d == v[1] and s == v[2][1:])
        if not w:
            return False
        name = f"v{self.n}"
        self.n += 1
        kind = self.rng.randrange(3)
        self.lines.append(f"  var {name} = {w[0]};")
        if kind == 0:
            self.lines.append(f"  for row in {v[0]} {{ {name} = tanh({name} * 0.5 + row); }}")
        elif kind == 1:
            self.lines.append(f"  for i in 0..{self.rng.randint(0, 4)} {{ {name} = {name} + sin({name}) * f32(i).astype({v[1]}); }}")
        else:
            self.lines.append(f"  for i in 0..4 while any(abs({name}) < 3) {{ {name} = {name} * 2 + 0.25; }}")
        self.pool.append((name, w[1], w[2]))

    def branch(self):
        p = self.pick(lambda d, s: d == "bool" and s == ())
        v = self.pick(lambda d, s: d in FLOATS)
        if not p or not v:
            return False
        name = f"v{self.n}"
        self.n += 1
        self.lines.append(f"  var {name} = {v[0]};\n  if {p[0]} {{ {name} = {name} * 2; }} else {{ {name} = cos({name}); }}")
        self.pool.append((name, v[1], v[2]))

    # --- state: what lowering may do in place, and must not
    def fresh(self):
        self.n += 1
        return f"v{self.n - 1}"

    def vector(self, least=2):
        return self.pick(lambda d, s: d in ("f32", "f64", "i32", "u32") and len(s) >= 1 and s[0] != "N" and s[0] >= least)

    def update_loop(self):
        """Rows of a copy are written in a loop, from rows that may be old or new."""
        v = self.vector()
        if not v:
            return False
        x, t, s = v
        y, n = self.fresh(), s[0]
        one = "1" if t in ("i32", "u32") else "0.5"
        body = self.rng.choice([
            f"{y}[i] = {y}[i] + {one};", f"{y}[i] = {x}[i] * {one};", f"{y}[{n - 1} - i] = {y}[i];", f"{y}[i] += {y}[0];", f"{y}[i] = {y}[(i + 1) % {n}] - {x}[0];",
            f"{y}[[i, 0]] = {y}[[0, i]];", f"let old = {y}; {y}[0] = old[i] + {one}; {y}[i] = old[0];", f"{y} = {y} + {y}[i];", f"{y} = flip({y}, axis=0) * {one}; {y}[i] = {x}[0];",
            f"{y} = {y}.at[i].add({x}[i]);", f"if i % 2 == 0 {{ {y}[i] = {one}; }} else {{ {y} = {y} - {one}; }}"])
        self.lines.append(f"  var {y} = {self.rng.choice([x, x, f'zeros_like({x})'])};\n  for i in 0..{n} {{ {body} }}")
        self.pool.append((y, t, s))

    def swap_loop(self):
        v = self.vector()
        w = self.pick(lambda d, s: v and d == v[1] and s == v[2])
        if not w:
            return False
        a, b = self.fresh(), self.fresh()
        step = self.rng.choice([f"{a}, {b} = {b}, {a};", f"{a}, {b} = {b}, {a} + {b};", f"let t = {a}; {a} = {b} - t; {b} = t;", f"{a} = {a} + {b}; {b} = {a} * {b};",
                                f"{a}[0] = {b}[1]; {b}[1] = {a}[0] + {a}[1];", f"{a}, {b} = {b} * 2, flip({a}, axis=0);"])
        loop = self.rng.choice(["for i in 0..3", "for i in 3..0 step -1", f"for i in 0..5 while any({a} < 3)", "for i in 0..{n}"]).replace("{n}", self.count())
        self.lines.append(f"  var {a}, {b} = {v[0]}, {w[0]};\n  {loop} {{ {step} }}")
        self.pool += [(a, v[1], v[2]), (b, v[1], v[2])]

    def count(self):
        """A number of steps: known, or data."""
        v = self.pick(lambda d, s: d in ("u8", "u32", "i32") and s == ())
        return f"i32({v[0]}) % 4" if v and self.rng.random() < 0.5 else "2"

    def stack_loop(self):
        """A recurrence over rows whose states are stacked; sometimes in reverse or nested."""
        v = self.pick(lambda d, s: d in ("f32", "f64") and len(s) == 2 and s[0] != "N")
        if not v:
            return False
        x, t, (n, m) = v
        h, ys = self.fresh(), self.fresh()
        inner = self.rng.choice([f"{h} = tanh({h} + {x}[i]);", f"{h} = {h} * 0.5 + {x}[i]; for j in 0..2 {{ {h} = {h} + sin({h}); }}", f"{h} = softmax({h} + {x}[i], axis=-1);",
                                 f"if sum({h}) > 0 {{ {h} = {h} - {x}[i]; }} else {{ {h} = {h} + {x}[i]; }}"])
        order = self.rng.choice([f"0..{n}", f"{n - 1}..-1 step -1"])
        self.lines.append(f"  var {h} = zeros({m}, dtype={t});\n  var {ys} = zeros({n}, {m}, dtype={t});\n  for i in {order} {{ {inner} {ys}[i] = {h}; }}")
        self.pool += [(h, t, (m,)), (ys, t, (n, m))]

    def loop_grad(self):
        v = self.pick(lambda d, s: d in ("f32", "f64") and len(s) == 1 and s[0] != "N" and s[0] >= 2)
        if not v:
            return False
        f = self.fresh()
        step = self.rng.choice(["h = tanh(h * t);", "h[i % 2] = h[i % 2] * t[0];", "h = h + sin(t) * h[0];", "if h[0] > 0 { h = h * t; } else { h = h - t; }", "h = softmax(h + t, axis=-1);"])
        body = f"{{ var h = t; for i in 0..3 {{ {step} }} return sum(h * h); }}"
        wrap = self.rng.choice(["{}", "checkpoint({})", "{}"])
        self.lines.append(f"  let {f} = " + wrap.format(f"|t| {body}") + ";")
        self.add(self.rng.choice([f"grad({f})({v[0]})", f"vmap(grad({f}))(stack([{v[0]}, {v[0]} * 2]))[1]", f"grad(|u| sum(grad({f})(u)))({v[0]})", f"jacobian(grad({f}))({v[0]})[0]"]), v[1], v[2])

    def dynamic_slice(self):
        v = self.vector(3)
        i = self.pick(lambda d, s: d in ("i32", "u8", "u32") and s == ())
        if not v or not i:
            return False
        k, at = self.fresh(), f"i32({i[0]}) % 3"
        self.lines.append(f"  let {k} = {at};")
        if self.rng.random() < 0.5:
            self.add(f"{v[0]}[{k} : {k} + 2]", v[1], (2,) + v[2][1:])
        else:
            y = self.fresh()
            self.lines.append(f"  var {y} = {v[0]};\n  {y}[{k} : {k} + 2] = {v[0]}[0 : 2];\n  {y}[0] = {y}[{k}];")
            self.pool.append((y, v[1], v[2]))

    def inout_update(self):
        """Writes to a parameter, reading its old value before and after."""
        v = self.pick(lambda d, s: False) if not self.state else self.rng.choice(self.state)
        if not v:
            return False
        x, t, s = v
        one = "1" if t in INTS else "0.5"
        if len(s) >= 1 and s[0] != "N" and s[0] >= 2 and self.rng.random() < 0.6:
            self.lines.append("  " + self.rng.choice([f"{x}[0] = {x}[1];", f"{x}[1] = {x}[1] + {one};", f"let k{self.n} = {x}; {x}[0] = k{self.n}[1]; {x}[1] = k{self.n}[0];", f"{x} = flip({x}, axis=0);",
                                                      f"for i in 0..2 {{ {x}[i] = {x}[1 - i] + {one}; }}"]))
            self.n += 1
        else:
            other = self.pick(lambda d, z: d == t and z == s)
            self.lines.append("  " + self.rng.choice([f"{x} = {x} + {one};", f"{x} = {other[0]};", f"{x} = {other[0]} - {x};", f"for i in 0..2 {{ {x} = {x} * 2 - {other[0]}; }}"]))

    def text(self):
        params = []
        self.state = []
        for i in range(self.rng.randint(1, 4)):
            t, s = self.dtype(), self.shape()
            if i == 0 and self.symbolic and "N" not in s:
                s = ("N",) + s[:2]
            inout = t != "bool" and self.rng.random() < 0.25
            params.append(("inout " if inout else "") + (f"p{i}: {t}[{', '.join(map(str, s))}]" if s else f"p{i}: {t}"))
            if inout:
                self.state.append((f"p{i}", t, s))
            self.pool.append((f"p{i}", t, s))
        moves = [self.unary, self.unary, self.integer_unary, self.binary, self.binary, self.binary, self.with_number, self.compare, self.where, self.logic, self.cast,
                 self.reduce, self.reduce, self.scan, self.sort, self.softmax, self.move, self.move, self.move, self.gather, self.scatter, self.matmul, self.grad,
                 self.vmap, self.loop, self.branch, self.update_loop, self.update_loop, self.swap_loop, self.swap_loop, self.stack_loop, self.loop_grad, self.dynamic_slice,
                 self.inout_update, self.inout_update]
        made, tries, want = 0, 0, self.rng.randint(3, 12)
        while made < want and tries < 200:
            tries += 1
            made += self.rng.choice(moves)() is not False
        fresh = [v for v in self.pool if v[0][0] == "v"] or self.pool
        out = self.rng.sample(fresh, min(len(fresh), self.rng.randint(1, 3)))
        if fresh[-1] not in out:
            out[0] = fresh[-1]
        ret = out[0][0] if len(out) == 1 else ", ".join(v[0] for v in out)
        return f"export fn {self.name}({', '.join(params)}) {{\n" + "\n".join(self.lines) + f"\n  return {ret};\n}}\n"


def programs(seed, count):
    rng = random.Random(seed)
    head = f"# Random programs, seed {seed}.\ndim N in 1..6;\n"
    return head + "".join(Program(rng, f"prog{i}").text() for i in range(count))


if __name__ == "__main__":
    sys.stdout.write(programs(int(sys.argv[1]), int(sys.argv[2])))
