"""SAM3 as the segmenter: two back ends and one conversion of their logits."""
