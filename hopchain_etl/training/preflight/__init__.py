"""Checks training files inside a trainer's environment, by its own loader, processor and reward, before a run.

Needs the trainer, pyarrow and typer, and nothing else of this package: ``python -m hopchain_etl.training.preflight``
runs where ``hopchain`` is not installed with all it needs.
"""
