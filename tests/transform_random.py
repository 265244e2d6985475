"""Random programs for the transforms: smooth float ops, integers and predicates, loops (scanned rows, stacks, captures, limits, early ends,
both directions), branches, calls (plain, recomputing, with rules), nested. Every value stays of the order of one."""
import numpy as np

from transform_kit import Fn

V, S, M = "f64[3]", "f64", "f64[3,3]"


class Gen:
    def __init__(self, seed):
        self.r = np.random.RandomState(seed)
        self.funcs, self.text, self.budget = [], "", 40

    def pick(self, xs):
        return xs[self.r.randint(len(xs))]

    def chance(self, p):
        return self.r.rand() < p

    # --- one op over what is in scope: {type: [values]} ---------------------------------------------------------------------------
    def op(self, f, env):
        t = self.pick([V, V, S, M])
        xs = env[t]
        if t == S:
            kind = self.pick(["sum", "max", "ew", "inner", "first", "select"])
            if kind == "sum":
                return S, f("reduce_sum", self.pick(env[V]), attrs="axes=[0]")
            if kind == "max":
                return S, f("reduce_max", self.pick(env[V]), attrs="axes=[0]")
            if kind == "inner":
                return S, f("dot", self.pick(env[V]), self.pick(env[V]), attrs="lhs_contract=[0], rhs_contract=[0], lhs_batch=[], rhs_batch=[]")
            if kind == "first":
                return S, f("reshape", f("dslice", self.pick(env[V]), self.pick(env["i32"]), attrs="axes=[0], sizes=[1]"), attrs="shape=[]")
            if kind == "select":
                return S, f("select", self.pick(env["bool"]), self.pick(xs), self.pick(xs))
        elif t == V:
            kind = self.pick(["ew", "ew", "matvec", "splat", "row", "scan", "gather", "sort", "update", "pad"])
            if kind == "matvec":
                return V, f("dot", self.pick(env[M]), self.pick(env[V]), attrs=f"lhs_contract=[{self.r.randint(2)}], rhs_contract=[0], lhs_batch=[], rhs_batch=[]")
            if kind == "splat":
                return V, f("broadcast", self.pick(env[S]), attrs="shape=[3], dims=[]")
            if kind == "row":
                return V, f("reshape", f("dslice", self.pick(env[M]), self.pick(env["i32"]), attrs="axes=[0], sizes=[1]"), attrs="shape=[3]")
            if kind == "scan":
                return V, f(self.pick(["cumsum", "cumprod"]), self.pick(env[V]), attrs=f"axis=0, reverse={self.pick(['true', 'false'])}, exclusive={self.pick(['true', 'false'])}")
            if kind == "gather":
                i = f("broadcast", self.pick(env["i32"]), attrs="shape=[3,1], dims=[]")
                i = f("add", i, f("const", attrs="value=i32[3,1](0, 2, 1)"))
                return V, f("gather", self.pick(env[V]), i, attrs=f'axes=[0], nb=0, oob="{self.pick(["clamp", "zero"])}"')
            if kind == "sort":
                return V, f("sort", self.pick(env[V]), attrs="axis=0", n=2)[0]
            if kind == "update":
                v = f("broadcast", self.pick(env[S]), attrs="shape=[1], dims=[]")
                return V, f("dupdate", self.pick(env[V]), v, self.pick(env["i32"]), attrs=f'axes=[0], mode="{self.pick(["set", "add"])}"')
            if kind == "pad":
                return V, f("pad", self.pick(env[V]), self.pick(env[S]), attrs="lo=[1], hi=[-1], step=[1]")
            if kind == "stop":
                return V, f("stop_gradient", self.pick(env[V]))
        else:
            kind = self.pick(["ew", "outer", "matmul", "transpose", "bcast"])
            if kind == "outer":
                return M, f("dot", self.pick(env[V]), self.pick(env[V]), attrs="lhs_contract=[], rhs_contract=[], lhs_batch=[], rhs_batch=[]")
            if kind == "matmul":
                return M, f("dot", self.pick(xs), self.pick(xs), attrs="lhs_contract=[1], rhs_contract=[0], lhs_batch=[], rhs_batch=[]")
            if kind == "transpose":
                return M, f("transpose", self.pick(xs), attrs="perm=[1,0]")
            if kind == "bcast":
                return M, f("broadcast", self.pick(env[V]), attrs=f"shape=[3,3], dims=[{self.r.randint(2)}]")
        op = self.pick(["add", "sub", "mul", "sin", "cos", "tanh", "sigmoid", "neg", "maximum", "erf"])
        two = op in ("add", "sub", "mul", "maximum")
        return t, f(op, self.pick(xs), *([self.pick(xs)] if two else []))

    def ints(self, f, env):
        if self.chance(.5):
            env["i32"].append(f("add", self.pick(env["i32"]), f.const("i32", int(self.r.randint(-1, 2)))))
        else:
            env["bool"].append(f("gt", self.pick(env[S]), self.pick(env[S])))

    def bound(self, f, t, x):
        return f("sin", x)

    def scope(self, env):
        return {k: list(v) for k, v in env.items()}

    def some(self, env, n):
        out = []
        for _ in range(n):
            t = self.pick([V, V, S, M])
            out.append((self.pick(env[t]), t))
        return out

    def loop(self, f, env, depth):
        trips = int(self.r.randint(0, 4)) if self.chance(.2) else int(self.r.randint(2, 4))
        carries = self.some(env, self.r.randint(1, 4))
        if self.chance(.3):
            carries.append((self.pick(env["i32"]), "i32"))
        xs = []
        for _ in range(self.r.randint(0, 3)):
            t = self.pick([S, V])
            rank = {S: 0, V: 1}[t]
            x = f("broadcast", self.pick(env[t]), attrs=f"shape=[{trips}{',3' if rank else ''}], dims={'[1]' if rank else '[]'}")
            if rank == 0 and trips == 3:
                x = self.pick(env[V])
            elif rank == 1 and trips == 3:
                x = self.pick(env[M])
            xs.append((x, t))
        ys = [self.pick([S, V]) for _ in range(self.r.randint(0, 3))]
        early, limit = self.chance(.3), self.chance(.25)
        reverse = not early and self.chance(.3)
        floats = [k for k, (_, t) in enumerate(carries) if t != "i32"]

        def body(i, *ps):
            inner = self.scope(env)
            inner["i32"].append(i)
            for p, (_, t) in zip(ps, carries + xs):
                inner[t] += [p, p]
            self.block(f, inner, depth - 1, self.r.randint(2, 5))
            out = []
            for k, (_, t) in enumerate(carries):
                if t == "i32":
                    out.append(f("add", ps[k], f.const("i32", 1)))
                elif self.chance(.1):
                    out.append(ps[k])
                else:
                    out.append(self.bound(f, t, f("add", self.pick(inner[t]), ps[k])))
            for t in ys:
                out.append(out[next(k for k, (_, u) in enumerate(carries) if u == t)] if self.chance(.3) and any(u == t for _, u in carries) else self.pick(inner[t]))
            return out

        def cont(*ps):
            p, t = ps[floats[0]], carries[floats[0]][1]
            rank = {S: 0, V: 1, M: 2}[t]
            return f("lt", f.sum(p, rank), f.const("f64", float(self.pick([.4, 1.3]))))
        lim = None
        if limit:
            lim = f("minimum", f("maximum", self.pick(env["i32"]), f.const("i32", 0)), f.const("i32", trips))
        outs = f.loop(carries, body, xs, trips=trips, limit=lim, cont=cont if early else None, reverse=reverse, ny=len(ys))
        for (_, t), o in zip(carries, outs):
            env[t].append(o)
        for t, o in zip(ys, outs[len(carries):]):
            y = f("reduce_sum", o, attrs="axes=[0]")
            env[t].append(y)

    def cond(self, f, env, depth):
        types = [t for _, t in self.some(env, self.r.randint(1, 3))]

        def arm():
            inner = self.scope(env)
            self.block(f, inner, depth - 1, self.r.randint(1, 4))
            return [self.pick(inner[t]) for t in types]
        for t, o in zip(types, f.cond(self.pick(env["bool"]), arm, arm, n=len(types))):
            env[t].append(o)

    def call(self, f, env):
        name, types, results = self.pick(self.funcs)
        outs = f.call(name, *[self.pick(env[t]) for t in types], to=", ".join(results))
        for t, o in zip(results, outs if isinstance(outs, list) else [outs]):
            env[t].append(o)

    def block(self, f, env, depth, n):
        for _ in range(n):
            self.budget -= 1
            k = self.r.rand()
            if depth > 0 and self.budget > 0 and k < .22:
                self.loop(f, env, depth)
            elif depth > 0 and self.budget > 0 and k < .34:
                self.cond(f, env, depth)
            elif self.funcs and k < .45:
                self.call(f, env)
            elif k < .55:
                self.ints(f, env)
            else:
                t, x = self.op(f, env)
                env[t].append(self.bound(f, t, x) if self.chance(.4) else x)

    def func(self, name, types, results, depth, n, header=""):
        f = Fn(name, *types, header=header)
        env = {V: [], S: [], M: [], "i32": [], "bool": []}
        for p, t in zip(f.p, types):
            env[t].append(p)
        for t, make in ((S, lambda: f.const("f64", .7)), ("i32", lambda: f.const("i32", 1)), ("bool", lambda: f.const("bool", True))):
            if not env[t]:
                env[t].append(make())
        if not env[V]:
            env[V].append(f("broadcast", self.pick(env[S]), attrs="shape=[3], dims=[]"))
        if not env[M]:
            env[M].append(f("broadcast", self.pick(env[V]), attrs="shape=[3,3], dims=[1]"))
        self.budget = 25
        self.block(f, env, depth, n)
        f.ret(*[(t, self.bound(f, t, self.total(f, env[t][-4:]))) for t in results])
        self.text += str(f)
        self.funcs.append((name, types, results))

    def total(self, f, xs):
        """Much of what was computed reaches the results."""
        y = xs[0]
        for x in xs[1:]:
            y = f("add", y, x) if self.chance(.7) else y
        return y

    def rule_func(self):
        """A function with a jvp rule or a vjp rule that agree with its body: y = sin(x) * w."""
        f = Fn("ruled", V, V, header=self.pick(["jvp @rule_t", "vjp_bwd @rule_g"]))
        x, w = f.p
        f.ret((V, f("mul", f("sin", x), w)))
        t = Fn("rule_t", V, V, V, V)
        x, w, dx, dw = t.p
        t.ret((V, t("add", t("mul", t("mul", t("cos", x), w), dx), t("mul", t("sin", x), dw))))
        g = Fn("rule_g", V, V, V, V)
        x, w, y, c = g.p
        g.ret((V, g("mul", g("mul", g("cos", x), w), c)), (V, g("mul", g("sin", x), c)))
        self.text += str(f) + str(t) + str(g)
        self.funcs.append(("ruled", [V, V], [V]))


def program(seed):
    """(text, operand types, result types) of a program whose main function is f."""
    g = Gen(seed)
    if g.chance(.4):
        g.rule_func()
    for k in range(g.r.randint(0, 3)):
        types = [g.pick([V, S, M, "i32"]) for _ in range(g.r.randint(1, 4))]
        if not any(t in (V, S, M) for t in types):
            types.append(V)
        g.func(f"g{k}", types, [g.pick([V, S, M]) for _ in range(g.r.randint(1, 3))], 1, g.r.randint(2, 6), header=g.pick(["", "", "remat"]))
    types = [V, M, S, "i32", "bool"][:g.r.randint(2, 6)]
    results = [g.pick([V, S, M]) for _ in range(g.r.randint(1, 3))]
    g.func("f", types, results, 2, g.r.randint(4, 9))
    return g.text, types, results
