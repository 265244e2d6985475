"""Compile time and output size of the six-layer encoder; start-up time of a perceptron, from process start to its end."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import numpy as np
from . import mlxcc as mx_c
from . import peers, workload

NAMES = ["compile_time", "startup"]
RUNS = 20
SIZES = (784, 256, 256, 10)
# Each prints the first output; weights come from weights.npz or model.onnx in the current folder.
SCRIPTS = {
    "numpy": "import numpy as np\nw=np.load('weights.npz')\nh=X\nfor i in (1,2,3):\n h=h@w[f'l{i}.weight'].T+w[f'l{i}.bias']\n h=np.maximum(h,0) if i<3 else h\nprint(h[0,0])",
    "ort": "import numpy as np, onnxruntime as o\ns=o.SessionOptions();s.intra_op_num_threads=1\nprint(o.InferenceSession('model.onnx',s).run(None,{'x':X})[0][0,0])",
    "torch": "import numpy as np, torch\nw=np.load('weights.npz')\nF=torch.nn.functional\nh=torch.from_numpy(X)\nwith torch.inference_mode():\n for i in (1,2,3):\n  h=F.linear(h,torch.from_numpy(w[f'l{i}.weight']),torch.from_numpy(w[f'l{i}.bias']))\n"
             "  h=torch.relu(h) if i<3 else h\nprint(float(h[0,0]))",
    "jax": "import numpy as np, jax\nw=dict(np.load('weights.npz'))\n@jax.jit\ndef f(w,h):\n for i in (1,2,3):\n  h=h@w[f'l{i}.weight'].T+w[f'l{i}.bias']\n  h=jax.nn.relu(h) if i<3 else h\n return h\nprint(f(w,X)[0,0])",
    "mlx": "import numpy as np, mlx.core as mx\nw=mx.load('weights.npz')\nh=mx.array(X)\nfor i in (1,2,3):\n h=mx.addmm(w[f'l{i}.bias'],h,w[f'l{i}.weight'].T)\n h=mx.maximum(h,0) if i<3 else h\nprint(h[0,0].item())",
}
INPUT = "X=(np.arange(784)%7*0.125).astype('f')[None]\n"


def compile_time(cpus, folder, names):
    """mlxcc and gcc: minimum of five; peers: the build with its first call in a fresh process whose imports are done, minimum of two."""
    cls = workload.find("encoder_b1")
    arrays = workload.make_inputs(cls)
    result = {}
    for cc in ("gcc", "clang"):
        best = None
        for _ in range(5):
            info = mx_c.compile_workload(cls, arrays, folder / f"compile-{cc}", cc=cc)
            best = info if best is None else {**info, "mlxcc_s": min(best["mlxcc_s"], info["mlxcc_s"]), "cc_s": min(best["cc_s"], info["cc_s"])}
        result[cc] = {k: v for k, v in best.items() if not isinstance(v, pathlib.Path)}
    reference = folder / "encoder.npz"
    np.savez(reference, *[np.asarray(w) for w in workload.as_list(cls.reference(**workload.widen(arrays)))])
    from run import Nursery, Worker
    for peer in names:
        if peer.startswith("mlxcc") or peer in ("numpy", "ggml", "emx"):
            continue
        nursery = Nursery(peer, len(cpus))
        for attempt in range(2):
            place = pathlib.Path(tempfile.mkdtemp(dir=folder))
            w = Worker(nursery, peer, cls.name, len(cpus), cpus, place, reference)
            answer = w.reply(150)
            w.end()
            if answer["state"] == "ready":
                result[peer] = min(result.get(peer, 1e9), answer["build_s"])
        nursery.end()
    return result


def run_once(command, folder, env):
    """(seconds, output) of one process."""
    read, write = os.pipe()
    start = time.perf_counter()
    pid = os.posix_spawn(command[0], command, env, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, read)])
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{command[0]}: status {status}")
    return seconds, float(text.split()[-1])


def startup(cpus, folder, names):
    rng = np.random.default_rng(1)
    net = {}
    for i in range(3):
        net[f"l{i + 1}.weight"] = workload.normal(rng, SIZES[i + 1], SIZES[i], scale=SIZES[i] ** -0.5)
        net[f"l{i + 1}.bias"] = workload.normal(rng, SIZES[i + 1], scale=0.02)
    h = (np.arange(784) % 7 * 0.125)[None]
    for i in (1, 2, 3):
        h = h @ net[f"l{i}.weight"].astype(np.float64).T + net[f"l{i}.bias"]
        h = np.maximum(h, 0) if i < 3 else h
    want = h[0, 0]
    place = folder / "startup"
    place.mkdir()
    source = workload.BENCH / "startup"
    np.savez(place / "weights.npz", **net)
    mx_c.run_tool([str(mx_c.build_dir(None) / "mlxcc"), str(source / "mlp.mx"), "-o", str(place / "mlp.c"), f"--weights=net={place / 'weights.npz'}"])
    commands = {}
    for kind, flags in (("mlxcc, dynamic", []), ("mlxcc, static", ["-static"])):
        program = place / kind.split()[-1]
        mx_c.run_tool(["gcc", *mx_c.C_FLAGS, *flags, f"-I{place}", "-o", str(program), str(source / "main.c"), str(place / "mlp.c"), "-lm"])
        commands[kind] = [str(program)]
    try:
        import onnx
        from .onnx_graph import Graph
        g = Graph()
        y = g.input("x", np.zeros((1, 784), np.float32))
        for i in (1, 2, 3):
            y = g.Gemm(y, net[f"l{i}.weight"], net[f"l{i}.bias"], transB=1)
            y = g.Relu(y) if i < 3 else y
        onnx.save(g.model([y]), place / "model.onnx")
    except ImportError:
        pass
    for peer in names:
        if peer in SCRIPTS:
            lines = SCRIPTS[peer].split("\n")
            (place / f"{peer}.py").write_text("\n".join([lines[0], INPUT.strip(), *lines[1:]]))
            commands[peer] = [sys.executable, str(place / f"{peer}.py")]
    here, result = os.getcwd(), {}
    os.chdir(place)
    try:
        for name, command in commands.items():
            env = {k: v for k, v in peers.environment(name, 1).items() if not k.startswith("MALLOC_")}
            try:
                runs = [run_once(command, place, env) for _ in range(RUNS if name.startswith("mlxcc") else 4)]
            except RuntimeError:
                continue
            error = max(abs(r[1] - want) for r in runs)
            if error < 1e-4:
                size = os.path.getsize(command[0]) if name.startswith("mlxcc") else None
                result[name] = dict(s=min(r[0] for r in runs), size=size)
    finally:
        os.chdir(here)
    return result


def run(name, cpus, folder, names):
    return {"compile_time": compile_time, "startup": startup}[name](cpus, folder, names)


def lines(results):
    out = []
    if "compile_time" in results:
        r = results["compile_time"]
        out += ["Compile time, six-layer encoder, batch 1 (peers: graph, compilation and first call in a process that has imported the library):", "",
                "| what | seconds |", "|---|---|"]
        for cc in ("gcc", "clang"):
            if cc in r:
                if cc == "gcc":
                    out.append(f"| mlxcc | {r[cc]['mlxcc_s']:.3f} |")
                out.append(f"| {cc} {' '.join(mx_c.C_FLAGS)} on its {r[cc]['c_bytes'] / 1024:.0f} KB of C: {r[cc]['so_bytes'] / 1024:.0f} KB library | {r[cc]['cc_s']:.2f} |")
        out += [f"| {p} | {s:.2f} |" for p, s in r.items() if p not in ("gcc", "clang")]
        out.append("")
    if "startup" in results:
        out += ["Process start to end with the first result of an MLP 784-256-256-10, files in the page cache:", "", "| what | ms | file MB |", "|---|---|---|"]
        for name, r in results["startup"].items():
            out.append(f"| {name} | {r['s'] * 1e3:.3g} | {r['size'] / 2**20:.2f} |" if r["size"] else f"| {name} | {r['s'] * 1e3:.3g} | |")
        out.append("")
    return out
