"""Where text leaves the program: standard output and error, consoles, log records.

All of it is shown by `storage.words.visible`, whatever wrote it.
"""
