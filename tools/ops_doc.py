"""Writes docs/ops.md, the reference of the op table, from ir/ops.def and ir/attrs.def: python3 tools/ops_doc.py > docs/ops.md"""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLASSES = {
    "ALL": "all", "NUM": "all but bool", "FLT": "real floats", "INX": "floats, c64", "INTB": "integers, bool", "INT": "integers", "REAL": "all but c64", "CPX": "c64",
}
RESULTS = {"SAME": "same", "BOOL": "bool", "ABSOF": "same; f32 for c64", "DTYPE": "by attribute", "CPLX": "c64"}
ZERO = {
    "DISCRETE": "zero: piecewise constant", "INTEGER": "zero: integers have no tangents", "STOP": "zero: that is its purpose", "RANDOM_BITS": "zero: random bits",
    "SOURCE": "zero: depends on no operand",
}


def fields(text):
    """The arguments of a macro call, split at commas outside of quotes."""
    return [p.strip() for p in re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+', text)]


def unquote(s):
    return None if s == "NULL" else re.sub(r'"((?:[^"\\]|\\.)*)"', r"\1", s)


def rows(name, macro):
    for line in (ROOT / "ir" / name).read_text().splitlines():
        m = re.match(macro + r"\((.*)\)\s*$", line)
        if m:
            yield fields(m[1])


def code(s):
    return "`" + s.replace("|", "\\|") + "`"


def meaning(columns):
    """The scalar meanings, each once, with the kinds that share it."""
    by_text = {}
    for kind, text in zip(("float", "int", "bool", "c64"), columns):
        if text is not None:
            by_text.setdefault(text, []).append(kind)
    if len(by_text) == 1:
        return code(next(iter(by_text)))
    return "; ".join(f"{', '.join(kinds)}: {code(text)}" for text, kinds in by_text.items()) or "–"


def linear(lin):
    groups = {}
    for k, g in enumerate(lin.rstrip("*")):
        groups.setdefault(g, []).append(str(k))
    groups.pop("0", None)
    if lin.endswith("*"):
        return "linear in all operands together"
    return " and ".join(f"linear in operand{'s' if len(v) > 1 else ''} {', '.join(v)}" + (" together" if len(v) > 1 else "") for v in groups.values())


def derivative(lin, zero, partials=(), own_jvp=False):
    parts = [linear(lin)] if lin else []
    parts += [f"∂{name} = {code(p)}" for name, p in zip("abc", partials) if p]
    if own_jvp:
        parts.append("a rule of its own" + (" for the others" if lin else ""))
    return "; ".join(parts) or ZERO.get(zero, "–")


def main():
    print("# The ops\n\nWritten by `tools/ops_doc.py` from `ir/ops.def`; change the table there.\n")
    print("## Element-wise\n\nOperands have one dtype and shape. `SUP(rem)` is a function of `kernels/support.h` or `kernels/maths.h` of the width, `FN(exp)` too for f32 but libm's for f64, `LIBM(sqrt)` libm's for both, `WRAP` wraps;")
    print("f16 and bf16 are computed in f32 and rounded once. Partial derivatives are over the operands `a b c` and the result `y`.\n")
    print("| op | operands | result | meaning | derivative | |\n|---|---|---|---|---|---|")
    for r in rows("ops.def", "ELEM"):
        cols = [unquote(c) for c in r[4:8]]
        print(f"| `{r[0]}` | {CLASSES[r[2]]} | {RESULTS[r[3]]} | {meaning(cols)} | {derivative(unquote(r[11]), r[12], [unquote(p) for p in r[8:11]])} | {unquote(r[14])} |")
    print("\n## Tensor ops\n\n| op | operands | results | attributes | derivative | |\n|---|---|---|---|---|---|")
    for r in rows("ops.def", "TENSOR"):
        count = lambda n: "any" if n == "-1" else n
        region = "REGION" in r[6]
        der = "by the sweep over its regions" if region else "none: an effect" if "EFFECT" in r[6] else derivative(unquote(r[4]), r[5], own_jvp="OWN_JVP" in r[6])
        print(f"| `{r[0]}` | {count(r[1])} | {count(r[2])} | {unquote(r[3])} | {der} | {unquote(r[7])} |")
    print("\n## Attributes\n\n| attribute | kind | |\n|---|---|---|")
    for r in rows("attrs.def", "ATTR"):
        print(f"| `{r[0]}` | {r[1].lower()} | {unquote(r[2])} |")


if __name__ == "__main__":
    main()
