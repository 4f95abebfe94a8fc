"""Offline training: recordings → a model bundle. Imports `hard`, which never imports it.

The packages import only those before them: data, model, loop, results, export, evaluation, report. Below them stand
options, recipe, errors and base_bundle; above them finetune, crossval and resume.
"""
