"""Runs the workloads on the peers, interleaved, and writes a table and a chart.

  bash bench/run.sh [--only NAME,...] [--peers NAME,...] [--rounds N] [--threads 1,2] [--quick] [--embedded] [--list]

Each (workload, peer, threads) is a fresh process, pinned; it builds, checks its result against float64 NumPy, and then waits, stopped, for its turn. In
each round every peer gets one turn of `--budget` seconds in a new order; minima and medians are taken over all rounds. Results are kept in
build-bench/results.json, so that parts of the table can be measured again; --report only prints it.
"""
import argparse
import json
import os
import pathlib
import random
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from harness import limits, peers, report, special, worker, workload  # noqa: E402


class Nursery:
    """A process that has imported a peer's library and forks workers; one for each peer and thread count."""

    def __init__(self, peer, threads):
        self.process = subprocess.Popen([sys.executable, str(HERE / "harness" / "worker.py"), peer], stdin=subprocess.PIPE, env=peers.environment(peer, threads), text=True,
                                        start_new_session=True)

    def fork(self, **job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()

    def end(self):
        self.process.kill()
        self.process.wait()


class Worker:
    """A stopped process between turns: its spinning threads cannot disturb the others."""

    def __init__(self, nursery, peer, name, threads, cpus, folder, reference):
        self.peer, self.times, self.pid = peer, [], None
        self.work = folder / f"{peer}-{threads}"
        self.work.mkdir()
        pipes = [self.work / "commands", self.work / "replies"]
        for pipe in pipes:
            os.mkfifo(pipe)
        # Opened for both directions, so that opening waits for nobody.
        self.commands, self.replies = (os.open(pipe, os.O_RDWR) for pipe in pipes)
        self.rest = b""
        nursery.fork(name=name, threads=threads, cpus=cpus, work=str(self.work), reference=str(reference), commands=str(pipes[0]), replies=str(pipes[1]))

    def line(self, deadline):
        """One line of the replies; None when the time is over or the process is dead."""
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.replies], [], [], 0.2)
            if ready:
                self.rest += os.read(self.replies, 65536)
            elif time.monotonic() > deadline or self.dead():
                return None
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def dead(self):
        return self.pid is not None and not os.path.exists(f"/proc/{self.pid}")

    def reply(self, timeout):
        """The next reply, or a dict that says what happened instead."""
        deadline = time.monotonic() + timeout
        if self.pid is None:
            first = self.line(deadline)
            if first is None:
                return dict(state="failed", reason=f"not started after {timeout:.0f} s")
            self.pid = first["pid"]
        answer = self.line(deadline)
        if answer is None:
            answer = dict(state="failed", reason="the process died" if self.dead() else f"no answer after {timeout:.0f} s")
        return answer

    def signal(self, number):
        try:
            if self.pid:
                os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def turn(self, timeout=120, **command):
        self.signal(signal.SIGCONT)
        os.write(self.commands, (json.dumps(command) + "\n").encode())
        answer = self.reply(timeout)
        self.signal(signal.SIGSTOP)
        return answer

    def end(self):
        self.signal(signal.SIGKILL)
        os.close(self.commands)
        os.close(self.replies)
        peers.clean(self.work)


def prepare(nurseries, names, cls, threads, cpus, folder, reference, timeout):
    """Builds with one worker for each peer, as many at a time as there are CPUs; -> (workers, results so far)."""
    results, workers, lock = {}, [], threading.Lock()
    waiting = list(reversed(names))

    def builder(slot):
        while True:
            with lock:
                if not waiting:
                    return
                peer = waiting.pop()
            w = Worker(nurseries[peer], peer, cls.name, threads, [cpus[slot]] if threads == 1 else cpus[:threads], folder, reference)
            answer = w.reply(timeout)
            results[peer] = answer
            if answer["state"] == "ready":
                w.signal(signal.SIGSTOP)
                workers.append(w)
            else:
                w.end()
    slots = [threading.Thread(target=builder, args=(slot,)) for slot in range(len(cpus))]
    for t in slots:
        t.start()
    for t in slots:
        t.join()
    return workers, results


def run_one(nurseries, cls, names, threads, options, cpus, folder):
    """All peers on one workload: {peer: {...}}."""
    reference = folder / "reference.npz"
    arrays = workload.make_inputs(cls)
    np.savez(reference, *[np.asarray(w) for w in workload.as_list(cls.reference(**workload.widen(arrays)))])
    workers, results = prepare(nurseries, names, cls, threads, cpus, folder, reference, options.timeout)
    pinned = cpus[-1:] if threads == 1 else cpus[:threads]
    order = random.Random(1)
    for w in workers:
        w.turn(pin=pinned)
    for _ in range(options.rounds):
        order.shuffle(workers)
        for w in list(workers):
            answer = w.turn(budget=options.budget)
            if answer["state"] == "failed":
                results[w.peer] = answer
                workers.remove(w)
            else:
                w.times.append((answer["min"], answer["median"]))
            time.sleep(0.002)
    for w in workers:
        lows, middles = zip(*w.times)
        results[w.peer].update(state="ok", min_s=min(lows), median_s=float(np.median(middles)), spread=float(np.median(lows)) / min(lows), rounds=len(lows))
        w.end()
    return results


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="workloads, comma-separated; a part of a name is enough with a * at its end")
    parser.add_argument("--peers", default="", help=f"of {','.join(peers.PEERS)}")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--budget", type=float, default=0.06, help="seconds of each turn")
    parser.add_argument("--threads", default="", help="thread counts, such as 1,2 (default: 1 and the number of CPUs, at most 2)")
    parser.add_argument("--timeout", type=float, default=150, help="seconds for a peer to build one workload")
    parser.add_argument("--quick", action="store_true", help="one thread, 3 short rounds, the fast-starting peers")
    parser.add_argument("--embedded", action="store_true", help="the models of bench/embedded instead of the workloads")
    parser.add_argument("--cpus", default="", help="CPUs to pin to (default: all that this process may use)")
    parser.add_argument("--results", default="", help="file of the results (default: build-bench/results.json)")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--report", action="store_true", help="print the table of the results, run nothing")
    parser.add_argument("--table", default="", help="write the table to this file too; the chart goes beside it as chart.svg")
    parser.add_argument("--no-special", action="store_true", help="leave out compile time, start-up and size")
    parser.add_argument("--list", action="store_true", help="list the workloads")
    return parser.parse_args()


def chosen(options):
    kind = "embedded" if options.embedded else "workloads"
    every = [c for c in workload.load_all().values() if c.kind == kind]
    if not options.only:
        return every
    wanted = options.only.split(",")
    picked = [c for c in every if any(c.name == w or (w.endswith("*") and c.name.startswith(w[:-1])) for w in wanted)]
    known = {c.name for c in every} | set(special.NAMES)
    for w in wanted:
        if not w.endswith("*") and w not in known:
            sys.exit(f"no workload '{w}'; --list shows them")
    return picked


def peer_names(options):
    if options.peers:
        names = options.peers.split(",")
        for n in names:
            if n not in peers.PEERS:
                sys.exit(f"no peer '{n}'; known: {', '.join(peers.PEERS)}")
        return names
    if options.quick:
        return ["mlxcc", "numpy", "torch", "ort"]
    if options.embedded:
        return ["mlxcc", "mlxcc.clang", "ort", "iree", "emx"]
    return [p for p in peers.PEERS if p != "emx"]


def main():
    options = parse()
    classes = chosen(options)
    if options.list:
        for c in classes:
            print(f"{c.name:24} {c.title}")
        return
    cpus = [int(c) for c in options.cpus.split(",")] if options.cpus else sorted(os.sched_getaffinity(0))[:2]
    if options.quick:
        options.rounds, options.budget = 3, 0.03
    counts = [int(t) for t in options.threads.split(",")] if options.threads else [1] if options.quick else sorted({1, len(cpus)})
    if max(counts) > len(cpus):
        sys.exit(f"{max(counts)} threads, but {len(cpus)} CPUs")
    store = pathlib.Path(options.results) if options.results else HERE.parent / "build-bench" / "results.json"
    store.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(store.read_text()) if store.exists() and not options.fresh else {}
    if not options.report:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -19)  # other work on the machine then hardly gets in between
            worker.lead()
        except OSError:  # not permitted: the figures are noisier
            pass
        with tempfile.TemporaryDirectory(prefix="mlxcc-bench-") as temporary:
            measure(options, classes, counts, cpus, results, store, pathlib.Path(temporary))
    text = report.table(results, [c for c in workload.load_all().values()], counts, "embedded" if options.embedded else "workloads")
    print(text)
    if options.table:
        pathlib.Path(options.table).write_text(text)
        report.chart(results, list(workload.load_all().values()), pathlib.Path(options.table).parent / "chart.svg")


def measure(options, classes, counts, cpus, results, store, temporary):
    def save():
        store.write_text(json.dumps(results, indent=1, sort_keys=True))
    results["machine"] = report.machine(cpus)
    if not options.quick or not results.get("limits"):
        results["limits"] = limits.merge(results.get("limits", {}), limits.measure(temporary, [cpus[-1:] if t == 1 else cpus[:t] for t in counts]))
        save()
    names = peer_names(options)
    for threads in counts:
        nurseries = {p: Nursery(p, threads) for p in names} if classes else {}
        for number, cls in enumerate(classes):
            folder = pathlib.Path(tempfile.mkdtemp(dir=temporary))
            start = time.monotonic()
            try:
                found = run_one(nurseries, cls, names, threads, options, cpus, folder)
            except Exception as error:
                print(f"{cls.name}: {type(error).__name__}: {error}", file=sys.stderr)
                continue
            finally:
                peers.clean(folder)
            results.setdefault("times", {}).setdefault(str(threads), {}).setdefault(cls.name, {}).update(found)
            save()
            print(f"[{threads} thr {number + 1}/{len(classes)}] {report.progress(cls, found)} ({time.monotonic() - start:.0f} s)", file=sys.stderr, flush=True)
        for n in nurseries.values():
            n.end()
    wanted = options.only.split(",") if options.only else special.NAMES
    if not options.no_special and not options.embedded:
        for name in special.NAMES:
            if name in wanted:
                results.setdefault("special", {})[name] = special.run(name, cpus, temporary, names)
                save()


if __name__ == "__main__":
    sys.modules["run"] = sys.modules["__main__"]  # special.py uses the workers of this file
    main()
