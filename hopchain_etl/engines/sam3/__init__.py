"""SAM3 as the segmenter: two back ends behind one reading of their logits."""
