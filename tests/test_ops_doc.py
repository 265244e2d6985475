"""docs/ops.md is what tools/ops_doc.py makes of the op table, and names every op."""
import pathlib
import subprocess
import sys
import op_kit

ROOT = pathlib.Path(__file__).resolve().parent.parent


def test_ops_doc_is_up_to_date(irtool):
    made = subprocess.run([sys.executable, str(ROOT / "tools/ops_doc.py")], capture_output=True, text=True, check=True).stdout
    assert made == (ROOT / "docs/ops.md").read_text(), "run: python3 tools/ops_doc.py > docs/ops.md"
    assert all(f"\n| `{op}` |" in made for op in op_kit.op_table(irtool))
