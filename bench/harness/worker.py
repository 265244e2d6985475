"""A worker: one peer, one workload, one thread count, one fresh process. Builds, checks against float64, then times when told to.

Speaks JSON lines on the file descriptor that was its standard output; what libraries print goes to standard error.
"""
import gc
import json
import os
import sys
import time
import traceback


def pin(cpus):
    """Every thread of this process, those of the peer's pools included."""
    for task in os.listdir("/proc/self/task"):
        try:
            os.sched_setaffinity(int(task), cpus)
        except OSError:
            pass


def measure(call, budget):
    """Calls for about `budget` seconds after one call that is not counted: minimum and median seconds per call."""
    clock = time.perf_counter
    call()
    start = clock()
    call()
    once = clock() - start
    inner = max(1, int(40e-6 / max(once, 1e-7)))
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


def main():
    peer, name, threads, cpus, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), [int(c) for c in sys.argv[4].split(",")], int(sys.argv[5])
    reply = os.fdopen(out, "w", buffering=1)

    def say(**values):
        reply.write(json.dumps(values) + "\n")
    os.sched_setaffinity(0, cpus)
    try:
        import numpy as np
        from harness import peers, workload
        cls = workload.load_all()[name]
        arrays = workload.make_inputs(cls)
        work = sys.argv[6]
        saved = np.load(sys.argv[7])
        want = [saved[f"arr_{i}"] for i in range(len(saved.files))]
        start = time.perf_counter()
        call, fetch, note = peers.BUILDERS[peer](cls, arrays, threads, want, work)
        call()
        build = time.perf_counter() - start
        error, reason = workload.largest_error(fetch(), want)
        tolerance = cls.tolerance.get(peer, cls.tolerance[""]) if isinstance(cls.tolerance, dict) else cls.tolerance
        if not error <= tolerance:
            say(state="wrong", reason=reason or f"error {error:.1e}, {tolerance:.0e} allowed")
            return
        say(state="ready", build_s=build, error=error, note={k: v for k, v in note.items() if v is not None})
    except peers.CannotRun as error:
        say(state="cannot", reason=str(error))
        return
    except peers.mx_c.CannotCompile as error:
        say(state="does not compile", reason=str(error))
        return
    except Exception as error:
        traceback.print_exc()
        say(state="failed", reason=f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error).strip() else ''}")
        return
    for line in sys.stdin:
        command = json.loads(line)
        if "pin" in command:
            pin(command["pin"])
            say(state="pinned")
        else:
            low, middle, calls = measure(call, command["budget"])
            say(state="timed", min=low, median=middle, calls=calls)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    main()
