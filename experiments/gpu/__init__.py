"""The library on a GPU: right, compiled, fast, and training as on the CPU.

    python -m experiments.gpu [--device cuda|cpu] [--smoke] [--out DIR] [--minutes M] [PART ...]

needs torch and jaxtyping alone; what else is installed (public kernels in Triton, Hugging Face's
layers) joins in, and what is missing is said. Four parts, the most
important first, each with a share of the minutes and a file of its own in the form that
`frugal.results.load` reads: `gpu_correctness.json`, `gpu_speed.json`, `gpu_compile.json` and
`gpu_training.json`. Files grow while a part runs, so a run that is cut off leaves what it had. A
case that fails is recorded with its message, and the next one follows.
"""
