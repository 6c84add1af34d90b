"""Pages of A4 with embedded fonts: what credit reports and the audit's monthly reports are drawn with.

canvas        text that wraps in either language, boxes and lines
subset_fonts  how the fonts in `fonts/` were made; they are embedded, so that a PDF looks the same everywhere
"""
