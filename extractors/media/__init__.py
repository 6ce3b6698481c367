"""Readers that turn files of any origin into pixels and samples, or say why they cannot."""
