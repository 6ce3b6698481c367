"""Ablation: the same config with one thing changed at a time, several seeds each, compared.

`variants.py` says what is changed, `study.py` trains and ranks, `report.py` writes the table.
"""
