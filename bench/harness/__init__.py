"""What the benchmarks share: processes, keys and tokens, peers, load generators."""
