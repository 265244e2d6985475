"""Golden tests of the lower half: tests/ir/**/*.ir.

The first line says what to run, `# RUN: pass simplify,dce`; the file's path is appended. Lines `# CHECK: text` must occur in the output in
that order, each after the one before; `# CHECK-NEXT: text` on the very next line; `# CHECK-NOT: text` nowhere in the output. `# EXIT: n` is the
exit code (0 when absent) and `# ERR: text` must occur in the messages. Blanks at the ends do not count.
"""
import pathlib
import subprocess
import pytest

HERE = pathlib.Path(__file__).resolve().parent
FILES = sorted((HERE / "ir").rglob("*.ir"))


def directives(path, word):
    head = f"# {word}: "
    return [line[len(head):].strip() for line in path.read_text().splitlines() if line.startswith(head)]


def run(irtool, args):
    return subprocess.run([irtool, *args], capture_output=True, text=True, timeout=60)


def check_order(path, lines):
    at = -1
    for line in path.read_text().splitlines():
        if line.startswith("# CHECK: "):
            want = line[len("# CHECK: "):].strip()
            found = next((k for k in range(at + 1, len(lines)) if want in lines[k]), None)
            assert found is not None, f"not found after line {at + 1} of the output: {want}\n" + "\n".join(lines)
            at = found
        elif line.startswith("# CHECK-NEXT: "):
            want = line[len("# CHECK-NEXT: "):].strip()
            at += 1
            assert at < len(lines) and want in lines[at], f"line {at + 1} of the output lacks: {want}\n" + "\n".join(lines)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(HERE / "ir")))
def test_golden(path, irtool):
    command = directives(path, "RUN")
    assert command, "the file has no RUN line"
    done = run(irtool, command[0].split() + [str(path)])
    code = int((directives(path, "EXIT") or ["0"])[0])
    assert done.returncode == code, done.stdout + done.stderr
    check_order(path, [line.strip() for line in done.stdout.splitlines()])
    for text in directives(path, "CHECK-NOT"):
        assert text not in done.stdout, done.stdout
    messages = done.stderr
    for text in directives(path, "ERR"):
        assert text in messages, messages
        messages = messages[messages.index(text) + len(text):]


GOOD = [p for p in FILES if not directives(p, "EXIT")]


@pytest.mark.parametrize("path", GOOD, ids=lambda p: str(p.relative_to(HERE / "ir")))
def test_text_round_trips_after_every_pass(path, irtool, tmp_path):
    """print(parse(text)) is text, for the file and for what each pass of the pipeline makes of it (--verify-each compares)."""
    once = run(irtool, ["print", str(path)])
    assert once.returncode == 0, once.stderr
    again = tmp_path / "again.ir"
    again.write_text(once.stdout)
    assert run(irtool, ["print", str(again)]).stdout == once.stdout
    done = run(irtool, ["pipeline", "--verify-each", f"--replay-dir={tmp_path}", str(path)])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", GOOD, ids=lambda p: str(p.relative_to(HERE / "ir")))
def test_starting_from_the_middle_gives_the_same(path, irtool, tmp_path):
    whole = run(irtool, ["pipeline", str(path)])
    passes = [line.split()[0] for line in run(irtool, ["pipeline", "--list-passes"]).stdout.splitlines() if line.split()[1] == "tensor"]
    middle = passes[len(passes) // 2]
    half = tmp_path / "half.ir"
    half.write_text(run(irtool, ["pipeline", f"--stop-after={passes[len(passes) // 2 - 1]}", str(path)]).stdout)
    rest = run(irtool, ["pipeline", f"--start-at={middle}", str(half)])
    assert rest.stdout == whole.stdout
