"""Tuning: which values of the config's own fields give the best MRR on valid.

`fields.py` reads bounds and ranges from the config classes, `space.py` what the user asked for,
`study.py` proposes and trains, `journal.py` remembers, `report.py` says what was found.
"""
