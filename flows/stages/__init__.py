"""Stages: when one must run, what it leaves in a run's folder, and what a run did."""
