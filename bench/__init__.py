"""Benchmarks: what Lockgate costs, measured beside plain mitmdump in the same run."""
