"""Benchmarks, one a file: items, prompt and scoring together."""
