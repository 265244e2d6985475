"""The pass driver: every switch, bisection, and what it keeps when a pass breaks the IR."""
import pathlib
import re
import subprocess
import pytest

PROGRAM = """module "m" stage "tensor"

func @main(%x: f32[B]) -> (f32[B])
  export
  param 0 "x"
  result 0 "y"
{
  %a = call %x {func=@f} : f32[B]
  %n = neg %a : f32[B]
  %m = neg %n : f32[B]
  %dead = exp %x : f32[B]
  return %m
}

func @f(%x: f32[N]) -> (f32[N]) {
  %y = sin %x : f32[N]
  return %y
}
"""


@pytest.fixture
def run(irtool, tmp_path):
    path = tmp_path / "m.ir"
    path.write_text(PROGRAM)

    def call(*switches, code=0):
        done = subprocess.run([irtool, "pipeline", *switches, str(path)], capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done

    return call


def names(run):
    return [line.split()[0] for line in run("--list-passes").stdout.splitlines()]


def test_list_passes_has_one_line_each(run):
    lines = run("--list-passes").stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["simplify", "dedupe", "inline"]
    assert all(re.match(r"\S+ +(tensor|loops) +\S", line) for line in lines)


def test_whole_pipeline(run):
    out = run().stdout
    assert "call" not in out and " exp " not in out and "@f" not in out
    assert "%y = sin %x : f32[B]\n  return %y\n" in out


def test_print_after_one(run):
    done = run("--print-after=simplify", "--stop-after=simplify")
    assert done.stderr.startswith("# after simplify\n")
    assert "neg" in done.stderr and "return %a" in done.stderr


def test_print_after_all_says_what_is_unchanged(run):
    lines = [line for line in run("--print-after=all", "--stop-after=dce").stderr.splitlines() if line.startswith("# after")]
    assert lines[0] == "# after simplify"
    assert "# after dedupe (unchanged)" in lines
    assert [line.split()[2] for line in lines] == names(run)[:len(lines)]


def test_stop_after_and_start_at_meet(run, irtool, tmp_path):
    half = tmp_path / "half.ir"
    half.write_text(run("--stop-after=dedupe").stdout)
    rest = subprocess.run([irtool, "pipeline", "--start-at=inline", str(half)], capture_output=True, text=True)
    assert rest.stdout == run().stdout


def test_skip(run):
    assert "func=@f" in run("--skip=inline", "--stop-after=dce").stdout


def test_bisect_names_the_last_pass_that_changed(run):
    assert run("--bisect=0", "--stop-after=dce").stdout == PROGRAM
    first = run("--bisect=1", "--stop-after=dce")
    assert "bisect: change 1 is by `simplify`" in first.stderr
    assert first.stdout == run("--stop-after=simplify").stdout
    assert "bisect: change 2 is by `inline`" in run("--bisect=2", "--stop-after=dce").stderr


def test_time_passes(run):
    lines = run("--time-passes", "--stop-after=dce").stderr.splitlines()
    assert re.match(r"simplify +\d+\.\d{3} ms$", lines[0])
    assert re.match(r"dedupe +\d+\.\d{3} ms  \(unchanged\)$", lines[1])
    assert lines[-1].startswith("all ")


@pytest.mark.parametrize("switch", ["--stop-after", "--start-at", "--skip", "--print-after"])
def test_unknown_pass(run, switch):
    done = run(f"{switch}=simplfy", code=1)
    assert f"error[pass.name]: {switch}: there is no pass `simplfy`" in done.stderr
    assert "did you mean `simplify`?" in done.stderr
