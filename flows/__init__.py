"""The Prefect flows, and the stages that they run, skip and observe.

The only package that imports Prefect. The work is done by `extractors` and `model`; what lies here
decides whether a stage must run (`stages`), runs it as a Prefect task (`extract`, `train`,
`evaluate`, `predict`, `pipeline`) and shows it on Prefect's pages (`server`).
"""
