"""Recorded experiments: what takes too long for a page, with every seed and where it came from.

    python -m experiments list
    python -m experiments run NAME --seeds 5 [--jobs 2] [--scheduler tcp://host:8786] [--smoke]
    python -m experiments check NAME [--seed 0] [--setting NAME]
    python -m experiments show NAME

`run` writes `experiments/results/NAME.json`, which chapters read with `frugal.results.load(NAME)`.
A run that was stopped goes on where it was. Sweeps run in processes on this machine, one thread
each, or on the workers of a Dask cluster. Workers elsewhere need the same installation and
checkout: start them in the repository's root with `PYTHONPATH=. dask worker ADDRESS --nthreads 1`.

Every run carries a fingerprint of the files that made it. `list` names the results that other code
made and when a seed of theirs was last run again; `check` runs one again and compares.

An experiment is a module in the folder of its part of the book, with three things:

- a docstring: the question on its first line, then what is varied and how long a run takes;
- `settings() -> dict[str, dict]`: by name, what each setting sets, in plain JSON values;
- `run(setting: dict, seed: int, smoke: bool) -> dict`: one training run, which gives numbers, lists
  of numbers, or a state_dict of weights, by name. It seeds everything from `seed`. With `smoke` it
  takes the same path through the code in about a second; the tests run every experiment so.

It may state a `TOLERANCE` for `check`, as `experiments.checking` describes.
"""
