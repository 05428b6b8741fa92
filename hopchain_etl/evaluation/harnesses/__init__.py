"""Benchmark harnesses: lmms-eval and VLMEvalKit ask our questions, and we read their logs of any benchmark."""
