"""The flows that run, skip, schedule and observe the stages, and the command line.

The only package that imports Prefect. The work is done by `extractors` and `model`; what lies here
decides whether a stage must run (`keys`, `stages`, `staged_run`), runs it as a Prefect task
(`extract`, `train`, `evaluate`, `predict`, `pipeline`) and tells of it (`run_record`, `artifacts`,
`progress`, `cli`).
"""
