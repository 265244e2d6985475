"""The benchmark's own parts: registry of workloads, one adapter for each peer, worker processes, limits, report."""
