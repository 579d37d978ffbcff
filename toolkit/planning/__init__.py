"""What a command would do, for --dry-run: stages, files, cores, and the time by earlier runs.

Nothing is started and nothing is written. What is decided, is decided by the code that does it:
requests, allocations, selections and file names come from the stages themselves.
"""
