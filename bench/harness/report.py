"""The table (Markdown) and the chart (SVG) of the results; every figure comes from results.json."""
import html
import math
import os
import platform
import re
import subprocess
from . import limits
from .peers import PEERS

OURS = ["mlxcc", "mlxcc.clang"]


def first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
    except (OSError, IndexError):
        return "not installed"


def lscpu(field, text):
    found = re.search(rf"^{re.escape(field)}:\s*(.*)$", text, re.M)
    return found.group(1) if found else "?"


def machine(cpus):
    """What the README names: processor, caches, compilers, versions of the peers."""
    import importlib.metadata as metadata
    text = subprocess.run(["lscpu"], capture_output=True, text=True).stdout
    flags = lscpu("Flags", text).split()
    versions = {}
    for name in ["numpy", "torch", "onnxruntime", "onnx", "jax", "iree-base-compiler", "mlx", "ggml-python", "emx-onnx-cgen"]:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    blas = {}
    try:
        import threadpoolctl
        import numpy  # noqa: F401
        blas = {i["internal_api"]: f"{i['version']} ({i.get('architecture', '?')})" for i in threadpoolctl.threadpool_info()}
    except ImportError:
        pass
    return dict(cpu=lscpu("Model name", text), family=f"family {lscpu('CPU family', text)}, model {lscpu('Model', text)}", cpus=len(cpus), virtual=lscpu("Hypervisor vendor", text),
                l1d=lscpu("L1d cache", text), l2=lscpu("L2 cache", text), l3=lscpu("L3 cache", text),
                features=[f for f in flags if re.match(r"avx|fma|amx", f)], memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
                gcc=first_line(["gcc", "--version"]), clang=first_line(["clang", "--version"]), python=platform.python_version(), versions=versions, blas=blas)


def ms(seconds):
    value = seconds * 1e3
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def ratio(value):
    return f"{value:.2f}" if value < 9.95 else f"{value:.0f}"


def best_peer(row):
    timed = {p: r["min_s"] for p, r in row.items() if p not in OURS and r.get("state") == "ok"}
    return min(timed.items(), key=lambda item: item[1]) if timed else (None, None)


def progress(cls, found):
    best, seconds = best_peer(found)
    parts = []
    for p in PEERS:
        if p in found:
            parts.append(f"{p} {ms(found[p]['min_s'])}" if found[p].get("state") == "ok" else f"{p} –{found[p].get('state', '')}")
    ours = found.get("mlxcc", {})
    verdict = f" => {ratio(ours['min_s'] / seconds)} of {best}" if ours.get("state") == "ok" and best else ""
    return f"{cls.name}: " + ", ".join(parts) + verdict


def shown_peers(times, names):
    return [p for p in PEERS if p not in OURS and any(times.get(n, {}).get(p, {}).get("state") == "ok" for n in names)]


def table_lines(results, classes, threads):
    times = results.get("times", {}).get(str(threads), {})
    row_limits = results.get("limits", {}).get(str(threads))
    classes = [c for c in classes if c.name in times]
    if not classes:
        return []
    columns = shown_peers(times, [c.name for c in classes])
    lines = [f"### {threads} thread{'s' if threads > 1 else ''}", "",
             "| workload | best peer | ms | mlxcc ms | gcc | clang | limit ms | mlxcc/limit | " + " | ".join(columns) + " |",
             "|---|---|---|---|---|---|---|---|" + "---|" * len(columns)]
    notes = []
    for cls in classes:
        row = times[cls.name]
        best, seconds = best_peer(row)
        ours, clang = row.get("mlxcc", {}), row.get("mlxcc.clang", {})
        good = ours.get("state") == "ok"
        bound = limits.limit_seconds(cls, row_limits) if row_limits else None
        cells = [cls.title, best or "–", ms(seconds) if best else "–", ms(ours["min_s"]) if good else "–",
                 f"**{ratio(ours['min_s'] / seconds)}**" if good and best else "–",
                 ratio(clang["min_s"] / seconds) if clang.get("state") == "ok" and best else "–",
                 f"{ms(bound[0])} ({bound[1]})" if bound else "–", ratio(ours["min_s"] / bound[0]) if good and bound else "–"]
        for p in columns:
            r = row.get(p, {})
            cells.append(ratio(r["min_s"] / seconds) if r.get("state") == "ok" else "–")
        lines.append("| " + " | ".join(cells) + " |")
        for p in OURS:
            if row.get(p, {}).get("state", "ok") != "ok":
                notes.append(f"- {cls.name}, {p}: {row[p]['state']}: {row[p].get('reason', '')}")
    lines.append("")
    lines += geometric(times, classes, columns)
    return lines + [""] + notes + ([""] if notes else [])


def geometric(times, classes, columns):
    """The geometric mean of our time over each peer's, over the workloads that both ran."""
    cells = []
    for p in ["best"] + columns:
        logs = []
        for cls in classes:
            row = times[cls.name]
            ours = row.get("mlxcc", {})
            other = best_peer(row)[1] if p == "best" else row.get(p, {}).get("min_s")
            if ours.get("state") == "ok" and other:
                logs.append(math.log(ours["min_s"] / other))
        if logs:
            cells.append(f"{'the best peer' if p == 'best' else p} {ratio(math.exp(sum(logs) / len(logs)))} ({len(logs)})")
    return ["Geometric mean of mlxcc's time over the peer's (number of workloads that both ran): " + ", ".join(cells) + "."] if cells else []


def limits_lines(results):
    lines = []
    for threads, row in sorted(results.get("limits", {}).items()):
        sgemm = ", ".join(f"{k} {v / 1e9:.0f}" for k, v in row["sgemm"].items())
        memory = ", ".join(f"{int(kb) / 1024:g} MB {row['triad'][kb] / 1e9:.0f}/{row['read'][kb] / 1e9:.0f}" for kb in sorted(row["triad"], key=int))
        lines.append(f"- {threads} thread{'s' if threads != '1' else ''}: sgemm 2048³ {sgemm} GFLOP/s; multiply-adds {row['fma'] / 1e9:.0f} GFLOP/s; exp {row['exp'] / 1e9:.2f} G/s; "
                     f"bandwidth by footprint, triad/read: {memory} GB/s.")
    return lines


def cannot_lines(results, classes, threads):
    """Why a peer has no figure, grouped by peer and reason."""
    times = results.get("times", {}).get(str(threads), {})
    groups = {}
    for cls in classes:
        for p, r in times.get(cls.name, {}).items():
            if p not in OURS and r.get("state") != "ok" and r.get("reason") != "not written":
                groups.setdefault((p, r["state"], r.get("reason", "")), []).append(cls.name)
    return [f"- {p}: {state}: {reason} ({', '.join(names)})" for (p, state, reason), names in sorted(groups.items())]


def table(results, classes, counts, kind):
    from . import special
    classes = [c for c in classes if c.kind == kind]
    m = results.get("machine", {})
    lines = [f"Machine: {m.get('cpus')} CPUs of {m.get('cpu')} ({m.get('family')}), {m.get('virtual')} guest, L1d {m.get('l1d')}, L2 {m.get('l2')}, L3 {m.get('l3')}, {m.get('memory_gib')} GiB; "
             f"{', '.join(m.get('features', []))}.", f"Compilers: {m.get('gcc')}; {m.get('clang')}. " + ", ".join(f"{k} {v}" for k, v in m.get("versions", {}).items()) +
             ". " + ", ".join(f"{k} {v}" for k, v in m.get("blas", {}).items()) + ".", "", "Limits measured in the same run:", *limits_lines(results), ""]
    for threads in sorted(results.get("times", {}), key=int):
        lines += table_lines(results, classes, int(threads))
    why = cannot_lines(results, classes, min(results.get("times", {"1": 0}), key=int))
    if why:
        lines += ["Peers without a figure:", *why, ""]
    if kind == "workloads":
        lines += special.lines(results.get("special", {}))
    return "\n".join(lines).rstrip() + "\n"


# ---- chart ----

GREEN, RED, GREY = "#2a7f4f", "#b3472f", "#8a8f98"


def chart(results, classes, path):
    """Bars of mlxcc's time over the best peer's, one thread, on a logarithmic axis; a tick marks the limit."""
    times = results.get("times", {}).get("1", {})
    row_limits = results.get("limits", {}).get("1")
    rows = []
    for cls in classes:
        row = times.get(cls.name, {})
        best, seconds = best_peer(row)
        if best and row.get("mlxcc", {}).get("state") == "ok":
            bound = limits.limit_seconds(cls, row_limits)[0] / seconds if row_limits else None
            rows.append((cls.title, row["mlxcc"]["min_s"] / seconds, best, bound))
    left, top, width, step = 330, 50, 520, 20
    height = top + step * len(rows) + 40
    lowest, highest = 0.125, 8.0

    def place(value):
        value = min(max(value, lowest), highest)
        return left + width * math.log(value / lowest) / math.log(highest / lowest)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 130}" height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{left + width + 130}" height="{height}" fill="white"/>',
           f'<text x="{left}" y="18" font-size="14">mlxcc (gcc) / best peer, one thread: left of 1 is faster</text>']
    for tick in (0.125, 0.25, 0.5, 1, 2, 4, 8):
        x = place(tick)
        out.append(f'<line x1="{x:.1f}" y1="{top - 10}" x2="{x:.1f}" y2="{height - 30}" stroke="{"#000" if tick == 1 else "#ddd"}"/>')
        out.append(f'<text x="{x:.1f}" y="{height - 14}" text-anchor="middle">{tick:g}</text>')
    for i, (title, value, best, bound) in enumerate(rows):
        y = top + step * i
        x0, x1 = sorted((place(1), place(value)))
        out.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{html.escape(title)}</text>')
        out.append(f'<rect x="{x0:.1f}" y="{y + 2}" width="{max(x1 - x0, 1):.1f}" height="{step - 7}" fill="{GREEN if value <= 1 else RED}"/>')
        if bound and bound >= lowest:
            out.append(f'<line x1="{place(bound):.1f}" y1="{y}" x2="{place(bound):.1f}" y2="{y + step - 3}" stroke="{GREY}" stroke-width="3"/>')
        out.append(f'<text x="{left + width + 8}" y="{y + 12}">{ratio(value)} ({html.escape(best)})</text>')
    out.append(f'<text x="{left}" y="{top - 16}" fill="{GREY}">grey tick: measured limit of the machine</text>')
    out.append("</svg>")
    path.write_text("\n".join(out) + "\n")
