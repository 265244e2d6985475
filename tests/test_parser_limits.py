"""Deep, long and odd input for the parser: an answer in little time and memory, never a crash."""
import resource
import subprocess

import pytest

N = 10000
DEEP = {
    "parentheses": "const a = " + "(" * N + "1" + ")" * N + ";",
    "open parentheses": "const a = " + "(" * N,
    "brackets": "const a = " + "[" * N + "]" * N + ";",
    "minus signs": "const a = " + "-" * N + "1;",
    "calls": "const a = " + "f(" * N + ")" * N + ";",
    "sum": "const a = 1" + " + 1" * N + ";",
    "members": "const a = x" + ".y" * N + ";",
    "lambdas": "const a = " + "|x| " * N + "x;",
    "blocks": "fn f(x) { " + "if x { " * N + "}" * N + " }",
    "else if": "fn f(x) { if x { }" + " else if x { }" * N + " }",
    "powers": "const a = " + "2 ** " * N + "1;",
    "choices": "const a = " + "1 if x else " * N + "2;",
    "lambda blocks": "const a = " + "|x| { return " * N,
}


def check(mlxcc, path):
    def limit():
        if "asan" not in mlxcc:  # a sanitizer needs terabytes of addresses
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    r = subprocess.run([mlxcc, "check", path.name], cwd=path.parent, capture_output=True, timeout=20, preexec_fn=limit)
    return r.returncode, r.stderr.decode("utf-8", "replace")


@pytest.mark.parametrize("name", DEEP)
def test_deep_nesting(mlxcc, tmp_path, name):
    (tmp_path / "deep.mx").write_text(DEEP[name])
    code, text = check(mlxcc, tmp_path / "deep.mx")
    assert code == 1 and "nested too deeply" in text or "never closed" in text, text[:500]
    assert text.count("error[") == 1


@pytest.mark.parametrize("name, text", [
    ("names", "const a = " + "x" * 1000000 + ";"), ("string", 'const a = "' + "x" * 1000000 + '";'), ("raw", 'const a = """' + 'x"\n' * 300000 + '""";'),
    ("comment", "#" * 1000000), ("semicolons", ";" * 200000), ("digits", "const a = 1." + "0" * 100000 + ";")])
def test_long_tokens(mlxcc, tmp_path, name, text):
    (tmp_path / "long.mx").write_text(text)
    code, out = check(mlxcc, tmp_path / "long.mx")
    assert code in (0, 1) and len(out) < 3000


def test_many_mistakes_are_capped(mlxcc, tmp_path):
    (tmp_path / "many.mx").write_text("fn f(x) {\n" + "  let y = ;\n" * 1000 + "}\n")
    code, out = check(mlxcc, tmp_path / "many.mx")
    assert code == 1 and out.count("error[") == 20 and "too many errors" in out


@pytest.mark.parametrize("data", [b"", b"\n", b"\xef\xbb\xbf# a byte order mark\nconst a = 1;\n", b"# only a comment", b"## only a doc"])
def test_almost_nothing(mlxcc, tmp_path, data):
    (tmp_path / "small.mx").write_bytes(data)
    assert check(mlxcc, tmp_path / "small.mx") == (0, "")


def test_crlf(mlxcc, tmp_path):
    (tmp_path / "crlf.mx").write_bytes(b"const a = 1;\r\nconst b = ;\r\n")
    code, out = check(mlxcc, tmp_path / "crlf.mx")
    assert code == 1 and "crlf.mx:2:11: error" in out
