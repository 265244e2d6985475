"""Random well-typed IR: element-wise ops, views, reductions, products, loops with carries, scans, stacks and limits, branches, calls.

Values are f64 tensors of small whole numbers, so every op is exact and programs before and after a pass must agree in every bit.
"""
import random

DIMS = ["B", "3", "4", "1"]
SIZE = {"3": 3, "4": 4, "1": 1}


def text(t):
    dtype, dims = t
    return dtype + (f"[{','.join(dims)}]" if dims else "")


class Program:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.n = 0
        self.funcs = []

    def name(self):
        self.n += 1
        return f"%v{self.n}"

    def shape(self, most=3):
        return tuple(self.r.choice(DIMS) for _ in range(self.r.randint(0, most)))

    def function(self, name, depth):
        params = [(f"%p{k}", ("f64", self.shape())) for k in range(self.r.randint(1, 3))]
        params.append((f"%p{len(params)}", ("f64", ("B", "3"))))
        body = Body(self, params, depth, "  ")
        for _ in range(self.r.randint(3, 12)):
            body.step()
        out = [body.pick_float() for _ in range(self.r.randint(2, 6))]
        head = f"func @{name}({', '.join(f'{v}: {text(t)}' for v, t in params)}) -> ({', '.join(text(t) for _, t in out)})"
        signature = [t for _, t in params], [t for _, t in out]
        self.funcs.append((name, signature))
        return "\n".join([head + "\n  fact B in 1..\n{", *body.lines, "  return " + ", ".join(v for v, _ in out), "}", ""]), signature


class Body:
    def __init__(self, program, values, depth, indent):
        self.p, self.r, self.depth, self.indent = program, program.r, depth, indent
        self.values, self.lines, self.dull = list(values), [], set()   # dull: constants, chosen as operands only on purpose

    def emit(self, op, *types, regions=""):
        names = [self.p.name() for _ in types]
        kinds = " : " + ", ".join(map(text, types)) if types else ""
        self.lines.append(f"{self.indent}{', '.join(names)} = {op}{kinds}{regions}")
        out = list(zip(names, types))
        self.values += out
        return out if len(out) > 1 else out[0]

    def pick(self, test):
        found = [v for v in self.values if v not in self.dull and test(v[1])]
        return self.r.choice(found[-8:] if self.r.random() < 0.5 else found) if found else None

    def pick_float(self):
        return self.pick(lambda t: t[0] == "f64")

    def number(self, x, dtype="f64"):
        return self.boring(self.emit(f"const {{value={dtype}({x})}}", (dtype, ())))

    def boring(self, v):
        self.dull.add(v)
        return v

    def repeated(self, s, t):
        return self.boring(self.emit(f"broadcast {s[0]} {{shape=[{','.join(t[1])}], dims=[]}}", t)) if t[1] else s

    def like(self, t):
        """A value of type t: one there is, or a repeated scalar."""
        v = self.pick(lambda u: u == t)
        if v and self.r.random() < 0.8:
            return v
        s = self.number(self.r.choice([0, 1, 2, -1, 3]))
        return self.repeated(s, t)

    def step(self):
        kinds = [self.binary, self.binary, self.unary, self.broadcast, self.transpose, self.reduce, self.slice, self.pad, self.concat, self.reshape, self.select,
                 self.rev, self.dot]
        if self.depth > 0:
            kinds += [self.loop, self.cond, self.call]
        self.r.choice(kinds)()

    def unary(self):
        v = self.pick_float()
        self.emit(f"{self.r.choice(['neg', 'abs', 'floor', 'neg', 'sign'])} {v[0]}", v[1])

    def binary(self):
        v = self.pick_float()
        w = self.like(v[1])
        a, b = (v, w) if self.r.random() < 0.5 else (w, v)
        self.emit(f"{self.r.choice(['add', 'sub', 'maximum', 'minimum', 'add', 'mul'])} {a[0]}, {b[0]}", v[1])
        self.keep_small()

    def keep_small(self):
        """The last value modulo 97: products of products stay exact."""
        v, t = self.values[-1]
        s = self.number(97)
        m = self.repeated(s, t)
        self.emit(f"rem {v}, {m[0]}", t)

    def select(self):
        v = self.pick_float()
        w = self.like(v[1])
        p = self.emit(f"{self.r.choice(['lt', 'eq', 'ge'])} {v[0]}, {w[0]}", ("bool", v[1][1]))
        if self.r.random() < 0.3:
            p = self.emit(f"not {p[0]}", p[1])
        self.emit(f"select {p[0]}, {w[0]}, {v[0]}", v[1])

    def broadcast(self):
        v, (_, dims) = self.pick_float()
        if len(dims) > 2:
            return
        at = self.r.randint(0, len(dims))
        new = dims[:at] + (self.r.choice(DIMS),) + dims[at:]
        self.emit(f"broadcast {v} {{shape=[{','.join(new)}], dims=[{','.join(str(k + (k >= at)) for k in range(len(dims)))}]}}", ("f64", new))

    def transpose(self):
        v, (_, dims) = self.pick_float()
        perm = list(range(len(dims)))
        self.r.shuffle(perm)
        self.emit(f"transpose {v} {{perm=[{','.join(map(str, perm))}]}}", ("f64", tuple(dims[k] for k in perm)))

    def rev(self):
        v, t = self.pick_float()
        axes = [str(k) for k in range(len(t[1])) if self.r.random() < 0.5]
        self.emit(f"rev {v} {{axes=[{','.join(axes)}]}}", t)

    def reduce(self):
        v, (_, dims) = self.pick_float()
        axes = [k for k in range(len(dims)) if self.r.random() < 0.6]
        kept = tuple(d for k, d in enumerate(dims) if k not in axes)
        op = self.r.choice(["reduce_sum", "reduce_sum", "reduce_max", "reduce_min"])
        out = self.emit(f"{op} {v} {{axes=[{','.join(map(str, axes))}]}}", ("f64", kept))
        if kept and self.r.random() < 0.5:
            k = self.r.randrange(len(kept))
            self.emit(f"{op} {out[0]} {{axes=[{k}]}}", ("f64", kept[:k] + kept[k + 1:]))
        self.keep_small()

    def reshape(self):
        v, (_, dims) = self.pick_float()
        keep = tuple(d for d in dims if d != "1")
        self.emit(f"reshape {v} {{shape=[{','.join(keep)}]}}", ("f64", keep))

    def slice(self):
        v, (_, dims) = self.pick_float()
        lo, hi, out = [], [], []
        for d in dims:
            a = self.r.randint(0, SIZE.get(d, 1) - 1)
            lo.append(str(a))
            hi.append(d)
            out.append(d if a == 0 else str(SIZE[d] - a))
        if any(d not in SIZE and d != "B" and d not in ("2",) for d in out):
            return
        out = tuple(out)
        self.emit(f"slice {v} {{lo=[{','.join(lo)}], hi=[{','.join(hi)}], step=[{','.join('1' for _ in dims)}]}}", ("f64", out))

    def pad(self):
        v, (_, dims) = self.pick_float()
        fixed = [k for k, d in enumerate(dims) if d in ("1", "3")]
        if not fixed:
            return
        k = self.r.choice(fixed)
        lo = {"1": self.r.randint(0, 2), "3": self.r.randint(0, 1)}[dims[k]]
        hi = {"1": 2 - lo, "3": 1 - lo}[dims[k]]
        s = self.number(self.r.choice([0, 5]))
        new = tuple("3" if d == "1" and j == k else "4" if j == k else d for j, d in enumerate(dims))
        edge = lambda x: ",".join(str(x if j == k else 0) for j in range(len(dims)))
        self.emit(f"pad {v}, {s[0]} {{lo=[{edge(lo)}], hi=[{edge(hi)}], step=[{','.join('1' for _ in dims)}]}}", ("f64", new))

    def concat(self):
        v, (_, dims) = self.pick_float()
        fixed = [k for k, d in enumerate(dims) if d == "1"]
        if not fixed:
            return
        k = self.r.choice(fixed)
        n = self.r.choice([3, 4])
        parts = [v] + [self.like(("f64", dims))[0] for _ in range(n - 1)]
        self.emit(f"concat {', '.join(parts)} {{axis={k}}}", ("f64", dims[:k] + (str(n),) + dims[k + 1:]))

    def dot(self):
        v, (_, dims) = self.pick_float()
        if not dims or len(dims) > 2:
            return
        k = self.r.randrange(len(dims))
        other = self.like(("f64", (self.r.choice(DIMS), dims[k])))
        out = tuple(d for j, d in enumerate(dims) if j != k) + (other[1][1][0],)
        self.emit(f"dot {v}, {other[0]} {{lhs_contract=[{k}], rhs_contract=[1], lhs_batch=[], rhs_batch=[]}}", ("f64", out))
        self.keep_small()

    def region(self, params, steps):
        inner = Body(self.p, self.values + params, self.depth - 1, self.indent + "  ")
        for _ in range(steps):
            inner.step()
        return inner

    def close(self, word, params, inner, out):
        head = f" {word}({', '.join(f'{v}: {text(t)}' for v, t in params)}) {{"
        return "\n".join([head, *inner.lines, f"{self.indent}  yield" + (" " + ", ".join(out) if out else ""), self.indent + "}"])

    def loop(self):
        trips = self.r.choice(["B", "3", "1", "0", "4"])
        carries = [self.pick_float() for _ in range(self.r.randint(0, 3))]
        scans = [v for v in [self.pick(lambda t: t[0] == "f64" and t[1][:1] == (trips,))] if v and self.r.random() < 0.6]
        params = [(self.p.name(), ("i32", ()))] + [(self.p.name(), t) for _, t in carries] + [(self.p.name(), ("f64", t[1][1:])) for _, t in scans]
        inner = self.region(params, self.r.randint(1, 4))
        yields = []
        for k, (_, t) in enumerate(carries):
            same = self.r.random()
            yields.append(params[1 + k][0] if same < 0.2 else inner.like(t)[0])
        stacked = []
        if trips != "0":
            for _ in range(self.r.randint(0, 2)):
                v = inner.pick(lambda t: t[0] == "f64" and len(t[1]) < 3)
                if v:
                    stacked.append(v)
        limit = []
        if self.r.random() < 0.3:
            limit = [self.number(self.r.choice([0, 1]), "i32")[0]] if trips != "0" else []
        at = f"{{trips={trips}, ncarry={len(carries)}, nscan={len(scans)}, reverse={self.r.choice(['true', 'false'])}, limit={'true' if limit else 'false'}}}"
        types = [t for _, t in carries] + [("f64", (trips,) + t[1]) for _, t in stacked]
        if not types:
            return
        ins = ", ".join([v for v, _ in carries + scans] + limit)
        self.emit(f"loop {ins} {at}", *types, regions=self.close("do", params, inner, yields + [v for v, _ in stacked]))

    def cond(self):
        v = self.pick_float()
        t = v[1]
        a, b = self.number(self.r.choice([0, 1])), self.number(1)
        s = self.pick(lambda u: u == ("f64", ())) if self.r.random() < 0.7 else a
        p = self.emit(f"lt {(s or a)[0]}, {b[0]}", ("bool", ()))
        arms = []
        for word in ("then", "else"):
            inner = self.region([], self.r.randint(0, 3))
            arms.append(self.close(word, [], inner, [inner.like(t)[0]]))
        self.emit(f"cond {p[0]}", t, regions="".join(arms))

    def call(self):
        if not self.p.funcs:
            return
        name, (ins, outs) = self.r.choice(self.p.funcs)
        args = ", ".join(self.like(t)[0] for t in ins)
        self.emit(f"call {args} {{func=@{name}}}", *outs)


def module(seed):
    """IR text with an exported-like @main last, and its parameter types."""
    p = Program(seed)
    parts = []
    for k in range(p.r.randint(0, 2)):
        parts.append(p.function(f"f{k}", 1)[0])
    main, (ins, _) = p.function("main", 2)
    return "\n".join(parts + [main]), ins
