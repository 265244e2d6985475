"""Includes go one way: ir <- passes <- codegen, ir and passes/transform.h <- frontend, everything <- driver; kernels stand alone."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAY = {
    "kernels": set(),
    "ir": {"kernels"},
    "passes": {"ir", "kernels"},
    "codegen": {"ir", "passes", "kernels"},
    "frontend": {"ir", "passes"},
    "driver": {"ir", "passes", "codegen", "frontend", "kernels"},
}


def includes():
    for folder in MAY:
        for f in sorted((ROOT / folder).rglob("*")):
            if f.suffix in (".c", ".h", ".l", ".y"):
                for line in f.read_text().splitlines():
                    m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
                    if m and not m[1].endswith(".tab.h"):
                        yield folder, f, m[1]


def test_includes_go_one_way():
    wrong, seen = [], 0
    for folder, f, name in includes():
        target = (f.parent / name).resolve()
        if ROOT not in target.parents:
            wrong.append(f"{f}: {name} leaves the tree")
            continue
        to = target.relative_to(ROOT).parts[0]
        seen += 1
        if to != folder and to not in MAY[folder]:
            wrong.append(f"{f.relative_to(ROOT)} includes {to}/")
        if folder == "frontend" and to == "passes" and target.name != "transform.h":
            wrong.append(f"{f.relative_to(ROOT)} includes {target.name}; the front end may use passes/transform.h only")
    assert seen > 10
    assert not wrong, "\n".join(wrong)
