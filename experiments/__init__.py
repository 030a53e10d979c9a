"""Recorded experiments: what takes too long for a page, with every seed and where it came from.

    python -m experiments list
    python -m experiments run NAME --seeds 5 [--jobs 2] [--scheduler tcp://host:8786] [--smoke]
    python -m experiments show NAME

``run`` writes ``experiments/results/NAME.json``, which chapters read with
``frugal.results.load(NAME)``. A run that was stopped goes on where it was. Sweeps go through
joblib: processes on this machine, one thread each, or the workers of a Dask cluster. Workers
elsewhere need the same installation and checkout: start them in the repository's root with
``PYTHONPATH=. dask worker ADDRESS --nthreads 1``.

An experiment is a module of this package with three things:

- a docstring: the question on its first line, then what is varied and how long a run takes;
- ``settings() -> dict[str, dict]``: by name, what each setting sets, in plain JSON values;
- ``run(setting: dict, seed: int, smoke: bool) -> dict``: one training run, which gives numbers, or
  lists of numbers, by name. It seeds everything from ``seed``. With ``smoke`` it takes the same
  path through the code in about a second; the tests run every experiment so.
"""
