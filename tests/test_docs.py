"""What the documents show works: .mx blocks compile and pass their tests, .ir blocks are read and compiled, commands run."""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*/README.md")])


def blocks(kind):
    for page in PAGES:
        for k, text in enumerate(re.findall(rf"^```{kind}\n(.*?)^```", page.read_text(), flags=re.M | re.S)):
            yield pytest.param(text, id=f"{page.name}-{k}")


@pytest.mark.parametrize("text", list(blocks("mx")))
def test_programs_compile_and_pass(mlxcc, tmp_path, text):
    (tmp_path / "doc.mx").write_text(text)
    r = subprocess.run([mlxcc, "test", "doc.mx"], cwd=tmp_path, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    if "export fn" in text:
        r = subprocess.run([mlxcc, "doc.mx", "-o", "doc.c"], cwd=tmp_path, capture_output=True, text=True)
        assert r.returncode == 0, r.stderr


@pytest.mark.parametrize("text", list(blocks("ir")))
def test_ir_compiles(mlxcc, tmp_path, text):
    (tmp_path / "doc.ir").write_text(text)
    r = subprocess.run([mlxcc, "doc.ir", "-o", "doc.c", "--verify-each"], cwd=tmp_path, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Werror", "-c", "doc.c"], cwd=tmp_path, check=True)


def commands():
    """Indented lines that begin with mlxcc and name files of the repository."""
    for page in PAGES:
        for line in re.findall(r"^    (mlxcc .*)$", page.read_text(), flags=re.M):
            line = line.split("   ")[0].strip()
            if "model" not in line and "…" not in line:
                yield pytest.param(line, id=line)


@pytest.mark.parametrize("line", list(commands()))
def test_commands_run(mlxcc, line):
    r = subprocess.run([mlxcc, *line.split()[1:]], cwd=ROOT, capture_output=True, text=True)
    assert r.returncode == 0 and r.stdout, r.stderr


@pytest.mark.parametrize("line", sorted({m for p in PAGES for m in re.findall(r"^    (mlxcc .*model.*)$", p.read_text(), flags=re.M)}))
def test_model_commands_are_accepted(mlxcc, tmp_path, line):
    """The README's commands on a model of the reader's own: here the digits, with weights and data made for it."""
    import numpy as np
    from safetensors.numpy import save_file

    (tmp_path / "model.mx").write_text((ROOT / "examples/digits/digits.mx").read_text())
    shapes = {"l1.weight": (256, 64), "l1.bias": (256,), "l2.weight": (256, 256), "l2.bias": (256,), "l3.weight": (10, 256), "l3.bias": (10,)}
    save_file({k: np.ones(s, np.float32) for k, s in shapes.items()}, tmp_path / "w.safetensors")
    np.save(tmp_path / "x.npy", np.ones((3, 64), np.float32))
    words = line.split("    ")[0].split()
    if "--weights" in words:
        words += ["--entry", "predict"]
    r = subprocess.run([mlxcc, *words[1:]], cwd=tmp_path, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
