"""The exam: phantoms with exact ground truth, benchmarks, speed."""
