"""Scripted conversations by which routing is judged; the README beside this file gives format and rules."""
