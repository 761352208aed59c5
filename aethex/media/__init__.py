"""Video: probe, package as HLS fMP4, stills. No lake, no library, no service.

All outside media is opened in sandboxed child processes only (`sandbox.py`).
"""
