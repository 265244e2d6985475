"""Workers: one process for one peer, workload and thread count. Builds, checks against float64, then times when told to.

`worker.py PEER` is a nursery: it imports the peer's library (torch takes seconds) without running anything, and forks a fresh worker for each job that
it reads from standard input: {"name", "threads", "cpus", "work", "reference", "commands", "replies"}; the last two are named pipes. A worker answers in
JSON lines; what libraries print goes to log.txt in its work folder.
"""
import gc
import importlib
import json
import os
import signal
import sys
import time
import traceback

PRELOAD = {"numpy": ["numpy"], "torch": ["torch"], "torch.compile": ["torch", "torch._dynamo", "torch._inductor.config", "torch._inductor.compile_fx"], "ort": ["onnxruntime", "onnx"],
           "jax": ["jax", "jax.numpy"], "iree": ["jax", "jax.numpy", "jax.export", "iree.runtime"], "emx": ["onnx", "onnxruntime"]}
LONG, ENDLESS = 0.5, 3.0  # seconds: a call that is counted alone; one whose first call is all there is
SAMPLE = 40e-6  # calls shorter than this are timed in groups that last about as long


def pin(cpus):
    """Every thread of this process, those of the peer's pools included."""
    for task in os.listdir("/proc/self/task"):
        try:
            os.sched_setaffinity(int(task), cpus)
        except OSError:
            pass


def lead():
    """A session of its own is scheduled as a group: the group needs the priority that the process has."""
    try:
        with open("/proc/self/autogroup", "w") as group:
            group.write(str(os.getpriority(os.PRIO_PROCESS, 0)))
    except OSError:
        pass


def measure(call, budget):
    """Calls for about `budget` seconds after two calls that are not counted: minimum and median seconds per call. A call of half a second is counted alone."""
    clock = time.perf_counter
    start = clock()
    call()
    once = clock() - start
    if once > LONG:
        return once, once, 1
    start = clock()
    call()
    once = clock() - start
    inner = max(1, int(SAMPLE / max(once, 1e-7)))
    times, end = [], clock() + budget
    gc.disable()
    while True:
        start = clock()
        for _ in range(inner):
            call()
        stop = clock()
        times.append((stop - start) / inner)
        if stop > end:
            break
    gc.enable()
    times.sort()
    return times[0], times[len(times) // 2], len(times) * inner


def build(peer, job):
    """-> (answer for the first reply, call or None)."""
    import numpy as np
    from harness import peers, workload
    cls = workload.find(job["name"])
    try:
        arrays = workload.make_inputs(cls)
        saved = np.load(job["reference"])
        want = [saved[f"arr_{i}"] for i in range(len(saved.files))]
        start = time.perf_counter()
        call, fetch, note = peers.BUILDERS[peer](cls, arrays, job["threads"], want, job["work"])
        built = time.perf_counter()
        call()
        seconds, first = time.perf_counter() - start, time.perf_counter() - built
        got = cls.canonical(fetch()) if hasattr(cls, "canonical") else fetch()
        error, reason = workload.largest_error(got, want)
        tolerance = cls.tolerance.get(peer, cls.tolerance[""]) if isinstance(cls.tolerance, dict) else cls.tolerance
        if not error <= tolerance:
            return dict(state="wrong", reason=reason or f"error {error:.1e}, {tolerance:.0e} allowed"), None
        if first > ENDLESS:  # it may have been compilation
            built = time.perf_counter()
            call()
            first = time.perf_counter() - built
        if first > ENDLESS:
            return dict(state="ok", min_s=first, median_s=first, spread=1.0, rounds=1, error=error, build_s=seconds), None
        return dict(state="ready", build_s=seconds, error=error, note={k: v for k, v in note.items() if v is not None}), call
    except peers.CannotRun as error:
        return dict(state="cannot", reason=str(error)), None
    except peers.mx_c.CannotCompile as error:
        return dict(state="does not compile", reason=str(error)), None
    except Exception as error:
        traceback.print_exc()
        lines = str(error).strip().splitlines() or [""]
        return dict(state="failed", reason=f"{type(error).__name__}: {lines[0][:200]}"), None


def work(peer, job):
    """The life of a forked worker."""
    os.setsid()
    lead()
    log = os.open(os.path.join(job["work"], "log.txt"), os.O_CREAT | os.O_WRONLY, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    reply = open(job["replies"], "w", buffering=1)
    commands = open(job["commands"])

    def say(**values):
        reply.write(json.dumps(values) + "\n")
    say(pid=os.getpid())
    os.sched_setaffinity(0, job["cpus"])
    answer, call = build(peer, job)
    say(**answer)
    if not call:
        return
    for line in commands:
        command = json.loads(line)
        if "pin" in command:
            pin(command["pin"])
            say(state="pinned")
        else:
            low, middle, calls = measure(call, command["budget"])
            say(state="timed", min=low, median=middle, calls=calls)


def nursery(peer):
    for module in PRELOAD.get(peer, ["numpy"]):
        try:
            importlib.import_module(module)
        except ImportError:  # the worker will say so
            pass
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        job = json.loads(line)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                work(peer, job)
            finally:
                os._exit(0)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    nursery(sys.argv[1])
