"""Asking a trained run: answers, completion, evidence, new entities."""
