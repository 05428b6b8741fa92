"""Ours beside the tools that a user would pick instead: the same rows, the same server, each in a process of its own.

``clients/`` has one module for each tool; ``model_calls`` compares them.
"""
