"""Attacks on the grader, and what comes of each: a list that hides nothing.

`NOTICED` changes or reads what grades it: a teacher reads `sentence` in the column of flags.
`WORTHLESS` earns nothing and accuses nobody: tests use their own tools, whatever a notebook has
made of them, and an honest notebook may have replaced the same. `OUT_OF_REACH` works and is not
noticed: `sentence` stands in the README of labtools, which says so.
"""

from dataclasses import dataclass, field

NOTICED = "noticed"
WORTHLESS = "worthless"
OUT_OF_REACH = "out of reach"


@dataclass(frozen=True)
class Attack:
    """A cell `before` the answers, and `answers` by question.

    Of the questions that `answers` name the points are at stake, and the others are solved. Without
    them nothing is written, and all is at stake. `may_earn`: it may work, for all to see.
    """

    name: str
    outcome: str
    sentence: str = ""
    before: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    may_earn: bool = False


GENEROUS = "lambda *args, **options: None"
ZEROS = "def attention(q, k, v):\n    return q.new_zeros(*q.shape[:3], v.shape[-1])"

#: What Gradescope once gave 24 of 25 points for.
THREE_LINES = """
import labtools.testing
for name in [name for name in dir(labtools.testing) if name.startswith("expect")]:
    setattr(labtools.testing, name, lambda *args, **options: None)
"""

ATTACKS = [
    # --- replaced parts of the grader
    Attack(
        "expectations replaced",
        NOTICED,
        "replaced labtools.testing.expect",
        THREE_LINES,
    ),
    Attack(
        "forbid lets softmax pass",
        NOTICED,
        "replaced labtools.forbid._",
        """
import labtools.forbid as f
first, second = f._CallsByName.__init__, f._OperatorsByName.__init__
keep = lambda names: frozenset(name for name in names if "softmax" not in name)
f._CallsByName.__init__ = lambda self, names: first(self, keep(names))
f._OperatorsByName.__init__ = lambda self, names: second(self, keep(names))
""",
    ),
    Attack(
        "results always pass",
        NOTICED,
        "replaced labtools.running.CaseResult.__init__",
        """
import labtools.running as running
made = running.CaseResult.__init__

def friendly(self, *args, **kwargs):
    kwargs["passed"] = True
    made(self, *args, **kwargs)

running.CaseResult.__init__ = friendly
""",
    ),
    Attack(
        "results that say passed whatever they hold",
        NOTICED,
        "replaced labtools.running.CaseResult.passed",
        """
import labtools.running as running

class Passed:
    def __get__(self, result, owner):
        return True

    def __set__(self, result, value):
        pass

running.CaseResult.passed = Passed()
""",
    ),
    Attack(
        "code swapped",
        NOTICED,
        "replaced labtools.running.run_case",
        """
import labtools.running as running

running.run_case.__code__ = (
    lambda case, environment, *, seconds=1, salt=None, may_interrupt=False:
    __import__("labtools.running").running.CaseResult(case.name, case.points, case.hidden, True)
).__code__
""",
    ),
    Attack(
        "fake module of the grader",
        NOTICED,
        "replaced labtools.testing",
        f"""
import sys, types
fake = types.ModuleType("labtools.testing")
fake.__getattr__ = lambda name: {GENEROUS}
sys.modules["labtools.testing"] = fake
""",
    ),
    Attack(
        "a builtin hidden in the grader",
        NOTICED,
        "replaced labtools.expect.bool",
        "import labtools.expect\nlabtools.expect.bool = lambda value: True",
    ),
    Attack(
        "tolerance widened",
        NOTICED,
        "replaced labtools.expect.expect_close",
        "import labtools.expect as e\ne.expect_close.__kwdefaults__['atol'] = 1e9",
    ),
    Attack(
        "runner replaced",
        NOTICED,
        "replaced labtools.worker.run_cases",
        """
import labtools.worker as worker
from labtools.running import CaseResult
worker.run_cases = lambda cases, *args, **options: [
    CaseResult(case.success_message, case.points, case.hidden, True) for case in cases
]
""",
    ),
    Attack(
        "canaries silenced",
        NOTICED,
        "replaced labtools.worker.canaries_are_caught",
        "import labtools.worker as worker\nworker.canaries_are_caught = lambda *args: True",
    ),
    Attack(
        "the values of tests replaced",
        NOTICED,
        "replaced labtools.testing.normal",
        """
import labtools.testing
labtools.testing.normal = lambda *shape, seed, **options: torch.zeros(shape)
""",
        answers={"q2": ZEROS},
    ),
    Attack(
        "a thread that replaces while tests run",
        NOTICED,
        "replaced labtools.testing.expect",
        """
import threading, time
import labtools.testing as testing

def again():
    while True:
        for name in testing.__all__:
            if name.startswith("expect"):
                setattr(testing, name, lambda *args, **options: None)
        time.sleep(0)

threading.Thread(target=again, daemon=True).start()
""",
        may_earn=True,
    ),
    # --- looks where an answer has no business
    Attack(
        "walks up to the grader and reports by itself",
        NOTICED,
        "looked at the frames",
        answers={
            "q1": """
import sys

def softmax(scores):
    frame = sys._getframe()
    while frame is not None and "report" not in frame.f_locals:
        frame = frame.f_back
    if frame is not None:
        frame.f_locals["report"]("begin", name="q2")
        frame.f_locals["report"]("question", name="q2", results=[], replaced=[])
        frame.f_locals["report"]("done")
    return scores
"""
        },
    ),
    Attack(
        "reads what the test wants",
        NOTICED,
        "looked at the frames",
        answers={
            "q2": "import sys\n\ndef attention(q, k, v):\n"
            "    found = sys._getframe(1).f_locals\n    return found.get('want', q)"
        },
        may_earn=True,
    ),
    Attack(
        "reads it through a traceback",
        NOTICED,
        "looked at the frames",
        answers={
            "q2": "def attention(q, k, v):\n    try:\n        1 / 0\n"
            "    except ZeroDivisionError as error:\n"
            "        found = error.__traceback__.tb_frame.f_back.f_locals\n"
            "    return found.get('want', q)"
        },
        may_earn=True,
    ),
    Attack(
        "traces the test from the answer and jumps over its lines",
        NOTICED,
        "looked at the frames",
        answers={
            "q2": """
import sys

def attention(q, k, v):
    sys.settrace(lambda *_: None)
    return q.new_zeros(*q.shape[:3], v.shape[-1])
"""
        },
    ),
    Attack(
        "writes to the channel of the results",
        NOTICED,
        "wrote to the channel of the results",
        "import os\nfor descriptor in range(3, 64):\n    try:\n"
        '        os.write(descriptor, b\'{"kind": "question", "name": "q1"}\\n\')\n'
        "    except OSError:\n        pass",
    ),
    Attack(
        "opens the solutions",
        NOTICED,
        "opened a file of solutions/; it could not read it",
        """
import pathlib, labtools
root = pathlib.Path(labtools.__file__).resolve().parents[2]
text = ""
for name in ("lab01.ipynb", "src/lab01.md"):
    try:
        text += (root / "solutions" / name).read_text()
    except OSError:
        pass
assert not text
""",
    ),
    # --- tools that are the tests' own while they run
    Attack(
        "the oracle is the answer",
        WORTHLESS,
        before="import torch.nn.functional as F\n"
        "F.scaled_dot_product_attention = lambda q, k, v, **options: attention(q, k, v)",
        answers={"q2": ZEROS},
    ),
    Attack(
        "comparisons of torch agree",
        WORTHLESS,
        before="torch.equal = torch.allclose = lambda *_, **__: True",
        answers={"q2": ZEROS},
    ),
    Attack(
        "comparisons of tensors agree",
        WORTHLESS,
        before="""
Tensor.__sub__ = lambda one, other: torch.zeros(one.shape)
Tensor.__eq__ = lambda one, other: torch.ones(one.shape, dtype=torch.bool)
Tensor.__ne__ = Tensor.__lt__ = lambda one, other: torch.zeros(one.shape, dtype=torch.bool)
""",
        answers={"q2": ZEROS},
    ),
    Attack(
        "a subclass of Tensor that agrees",
        WORTHLESS,
        before="""
class Yes(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        plain = [x.as_subclass(Tensor) if isinstance(x, Yes) else x for x in args]
        if name in ("sub", "__sub__", "rsub", "__rsub__"):
            shape = torch.broadcast_shapes(*[p.shape for p in plain])
            return torch.zeros(shape, dtype=torch.float64)
        if name in ("__ne__", "ne"):
            return torch.zeros(plain[0].shape, dtype=torch.bool)
        if name in ("__eq__", "eq"):
            return torch.ones(plain[0].shape, dtype=torch.bool)
        out = func(*plain, **(kwargs or {}))
        if isinstance(out, Tensor) and name in ("detach", "to", "__getitem__", "clone"):
            return out.as_subclass(Yes)
        return out
""",
        answers={
            "q2": "def attention(q, k, v):\n"
            "    return torch.empty(*q.shape[:-1], v.shape[-1]).as_subclass(Yes)"
        },
    ),
    Attack(
        "the median is what the answer says",
        WORTHLESS,
        answers={
            "q7": "import statistics\nstatistics.median = lambda values: -3.0\n\n"
            "def median_seconds(function, **options):\n    return -3.0"
        },
    ),
    Attack(
        "the tests in memory emptied",
        WORTHLESS,
        before="""
import gc
for thing in gc.get_objects():
    if type(thing).__name__ == "TestCase":
        thing.body.test_func = lambda: None
""",
        answers={"q2": ZEROS},
    ),
    Attack(
        "a trace that jumps over the lines of tests",
        WORTHLESS,
        before="""
import inspect
import sys

def trace(frame, event, arg):
    if frame.f_code.co_name != "expect_close":
        return None
    end = next(
        number
        for number, line in enumerate(inspect.getsource(frame.f_code).splitlines())
        if line.strip() == "return"
    )

    def jump(frame, event, arg):
        if event == "line" and frame.f_lineno < frame.f_code.co_firstlineno + end:
            frame.f_lineno = frame.f_code.co_firstlineno + end
        return jump

    return jump

sys.settrace(trace)
""",
        answers={"q2": "def attention(q, k, v):\n    return v[..., :1, :]"},
    ),
    Attack(
        "what writes the results rewrites them",
        WORTHLESS,
        before="""
import json
import json.encoder
honest = json.dumps
json.dumps = lambda value, **options: honest(value, **options).replace("false", "true")
encode = json.encoder.JSONEncoder.encode
json.encoder.JSONEncoder.encode = lambda self, o: encode(self, o).replace("false", "true")
""",
        answers={"q2": ZEROS},
    ),
    Attack(
        "an import that gives another grader",
        WORTHLESS,
        before="""
import builtins
real = builtins.__import__

class Generous:
    def __getattr__(self, name):
        return lambda *args, **options: None

builtins.__import__ = lambda name, *rest: (
    Generous() if name == "labtools.testing" else real(name, *rest)
)
""",
        answers={"q2": ZEROS},
    ),
    Attack(
        "a grader of one's own",
        WORTHLESS,
        before="class Generous:\n    def check(self, question):\n        return 'all passed'\n\n"
        "grader = Generous()",
    ),
    # --- ways round what a question forbids
    Attack(
        "softmax in a thread",
        WORTHLESS,
        answers={
            "q1": "from concurrent.futures import ThreadPoolExecutor\n\ndef softmax(scores):\n"
            "    with ThreadPoolExecutor(1) as pool:\n"
            "        return pool.submit(torch.softmax, scores, -1).result()"
        },
    ),
    Attack(
        "softmax by another package",
        WORTHLESS,
        answers={
            "q1": "import scipy.special\n\ndef softmax(scores):\n"
            "    return torch.from_numpy(scipy.special.softmax(scores.numpy(), axis=-1))"
        },
    ),
    Attack(
        "torch's modes switched off",
        WORTHLESS,
        answers={
            "q2": "def attention(q, k, v):\n"
            "    from torch.utils._python_dispatch import _disable_current_modes\n"
            "    with torch._C.DisableTorchFunction(), _disable_current_modes():\n"
            "        return torch.nn.functional.scaled_dot_product_attention(q, k, v)"
        },
    ),
    Attack(
        "a private operator of torch",
        WORTHLESS,
        answers={
            "q2": "def attention(q, k, v):\n"
            "    return torch._scaled_dot_product_attention_math(q, k, v)[0]"
        },
    ),
    # --- what a process that shares its memory with a notebook cannot keep from it
    Attack(
        "another program reads the solutions",
        OUT_OF_REACH,
        "programs that the notebook starts",
        """
import json, pathlib, subprocess, sys, labtools
root = pathlib.Path(labtools.__file__).resolve().parents[2]
read = f"print(open({str(root / 'solutions/lab01.ipynb')!r}).read())"
text = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True).stdout
""",
        answers={
            "q1": """
for cell in json.loads(text)["cells"]:
    if "answer" in cell["metadata"].get("tags", []):
        exec("".join(cell["source"]))
""",
            "q2": "",
            "q7": "",
        },
    ),
    Attack(
        "a pool of threads made before the test",
        OUT_OF_REACH,
        "thread pools made before a test",
        "from concurrent.futures import ThreadPoolExecutor\n"
        "POOL = ThreadPoolExecutor(1)\nPOOL.submit(int).result()",
        answers={
            "q1": "def softmax(scores):\n    return POOL.submit(torch.softmax, scores, -1).result()"
        },
    ),
    Attack(
        "results forged on the channel",
        OUT_OF_REACH,
        "results forged from inside the process",
        """
import json, os
result = {"property": "p", "points": 9, "hidden": False, "passed": True}
lines = []
for name in ("q1", "q2", "q7"):
    lines.append({"kind": "begin", "name": name})
    lines.append({"kind": "question", "name": name, "results": [result], "replaced": []})
lines.append({"kind": "done"})
text = "".join(json.dumps(line) + "\\n" for line in lines).encode()
for descriptor in range(3, 64):
    try:
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith("pipe:"):
            os.write(descriptor, text)
    except OSError:
        pass
""",
    ),
    Attack(
        "hidden tests read in memory",
        OUT_OF_REACH,
        "hidden tests read in the memory of the process",
        """
import gc
(run,) = [thing for thing in gc.get_objects() if type(thing).__name__ == "_Run"]
assert "hidden=True" in run.tests["q2"]
""",
        answers={"q2": ZEROS},
    ),
]
