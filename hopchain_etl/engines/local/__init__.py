"""Engines for any CPU: SSD-MobileNet detects objects, U2-Net-p segments them, OCR reads lines of text."""
