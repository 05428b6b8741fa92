"""Charts and tables by classical means: bars, slices, legend patches, tick labels and cells, from pixels and OCR lines.

``find.find_elements`` is the entry. Nothing is certain unless numbers that were read agree with lengths or angles that
were measured, or unless rules enclose every cell; a photo has neither.
"""
