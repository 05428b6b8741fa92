"""Engines for any CPU: SSD-MobileNet finds things, U2-Net-p cuts them out, OCR reads lines of text."""
