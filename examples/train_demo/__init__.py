"""The whole loop on a CPU: our rows and export, a tiny vision-language model, a warm start, SAPO, a comparison.

It proves the plumbing, and that the data can be learned from pixels. It says nothing about large models.
"""
