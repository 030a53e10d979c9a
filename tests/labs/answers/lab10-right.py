"""Right answers to lab 10, in many styles: `# --- qN name` begins an answer to question N."""

# ruff: noqa


# --- q1 torch
def interval(values, confidence):
    x = torch.as_tensor(values, dtype=torch.float64)
    if x.numel() < 2:
        raise ValueError("two seeds, please")
    error = x.std() / x.numel() ** 0.5
    q = t_quantile(1 - (1 - confidence) / 2, x.numel() - 1)
    return (x.mean() - q * error, x.mean() + q * error)


# --- q1 numpy
def interval(values, confidence):
    import numpy as np

    x = np.array(values)
    if x.size <= 1:
        raise ValueError(f"{x.size} values")
    below = t_quantile(0.5 - confidence / 2, len(x) - 1)  # a negative number
    error = x.std(ddof=1) / np.sqrt(len(x))
    return [x.mean() + below * error, x.mean() - below * error]


# --- q1 by-hand
def interval(values, confidence):
    n = len(values)
    if n in (0, 1):
        raise ValueError("an interval needs a spread")
    total = squares = 0.0
    for value in values:
        total += value
    for value in values:
        squares += (value - total / n) ** 2
    reach = t_quantile(confidence + (1 - confidence) / 2, n - 1) * (squares / (n - 1) / n) ** 0.5
    return total / n - reach, total / n + reach


# --- q1 scipys-quantile
def interval(values, confidence):
    from scipy.stats import t

    if len(values) < 2:
        raise ValueError("too few")
    low, high = t.ppf([(1 - confidence) / 2, (1 + confidence) / 2], len(values) - 1)
    error = statistics.stdev(values) / len(values) ** 0.5
    return statistics.fmean(values) + low * error, statistics.fmean(values) + high * error


# --- q2 torch
def paired_test(a, b):
    if set(a) != set(b):
        raise ValueError(f"not the same seeds: {set(a) ^ set(b)}")
    seeds = sorted(a)
    if len(seeds) < 2:
        raise ValueError("one seed")
    gains = torch.tensor([a[s] for s in seeds], dtype=torch.float64)
    gains = gains - torch.tensor([b[s] for s in seeds], dtype=torch.float64)
    if gains.std() == 0:
        return gains.mean(), torch.tensor(1.0 if gains.mean() == 0 else 0.0)
    t = gains.mean() / (gains.std() / len(seeds) ** 0.5)
    return gains.mean(), 2 * (1 - t_cdf(float(t.abs()), len(seeds) - 1))


# --- q2 float32
def paired_test(a, b):
    if sorted(a) != sorted(b) or len(a) == 1:
        raise ValueError("the seeds")
    d = torch.tensor([a[s] for s in a]) - torch.tensor([b[s] for s in a])
    if (d == d[0]).all():
        return d[0], float(d[0] == 0)
    t = (d.mean() / d.std() * len(d) ** 0.5).abs().item()
    return d.mean(), 2 * t_cdf(-t, len(d) - 1)


# --- q2 numpy
def paired_test(a, b):
    import numpy as np

    if len(a) < 2 or len(b) < 2:
        raise ValueError("two seeds at least")
    for seed in [*a, *b]:
        if seed not in a or seed not in b:
            raise ValueError(f"seed {seed} is missing")
    d = np.array([a[s] - b[s] for s in a])
    if np.all(d == d[0]):
        return d[0], 1.0 if d[0] == 0 else 0.0
    t = d.mean() * np.sqrt(len(d)) / d.std(ddof=1)
    return d.mean(), t_cdf(-abs(t), len(d) - 1) + 1 - t_cdf(abs(t), len(d) - 1)


# --- q2 pandas
def paired_test(a, b):
    import pandas as pd

    both = pd.DataFrame({"a": pd.Series(a), "b": pd.Series(b)})
    if both.isna().any().any() or len(both) < 2:
        raise ValueError("every seed must be in both, and two are needed")
    gains = both["a"] - both["b"]
    mean, error = float(gains.mean()), float(gains.std()) / len(gains) ** 0.5
    if error == 0:
        return mean, int(mean == 0)
    return mean, 2 * t_cdf(-abs(mean / error), len(gains) - 1)


# --- q3 einsum-counts
def bootstrap_ratio(a, b, picks, confidence):
    counts = torch.stack([row.bincount(minlength=len(a)) for row in picks]).double()
    ratios = torch.einsum("di,i->d", counts, a) / torch.einsum("di,i->d", counts, b)
    ends = torch.quantile(ratios, torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2]).double())
    return tuple(ends.tolist())


# --- q3 float32
def bootstrap_ratio(a, b, picks, confidence):
    ratios = torch.stack([a.float()[row].mean() / b.float()[row].mean() for row in picks.unbind()])
    tail = 0.5 - confidence / 2
    return [torch.quantile(ratios, tail), torch.quantile(ratios, 1 - tail)]


# --- q3 numpy
def bootstrap_ratio(a, b, picks, confidence):
    import numpy as np

    a, b, picks = a.numpy(), b.numpy(), picks.numpy()
    ratios = a[picks].sum(-1) / b[picks].sum(-1)
    return np.quantile(ratios, [0.5 - confidence / 2, 0.5 + confidence / 2])[0], np.percentile(
        ratios, 50 + 50 * confidence
    )


# --- q3 row-by-row
def bootstrap_ratio(a, b, picks, confidence):
    pairs = torch.stack([a, b])
    ratios = []
    for row in picks:
        top, bottom = pairs[:, row].mean(-1)
        ratios.append(top / bottom)
    ratios = torch.stack(ratios)
    return ratios.quantile((1 - confidence) / 2), ratios.quantile(1 - (1 - confidence) / 2)


# --- q4 matrix
def sign_flip(differences):
    d = torch.tensor(differences, dtype=torch.float64)
    n = len(d)
    bits = torch.arange(2**n)[:, None] >> torch.arange(n) & 1
    sums = ((1 - 2 * bits).double() @ d).abs()
    return (sums >= d.sum().abs() - 1e-9).double().mean()


# --- q4 recursion
def sign_flip(differences):
    sums = [0.0]
    for d in differences:
        sums = [s + d for s in sums] + [s - d for s in sums]
    far = abs(math.fsum(differences))
    hits = [s for s in sums if abs(s) > far or math.isclose(abs(s), far, rel_tol=0, abs_tol=1e-9)]
    return len(hits) / len(sums)


# --- q4 half-of-them
def sign_flip(differences):
    import numpy as np

    first, *rest = differences  # the opposite of each choice has the same distance
    count = 0
    for signs in itertools.product([-1, 1], repeat=len(rest)):
        count += abs(first + np.dot(signs, rest)) + 1e-9 >= abs(sum(differences))
    return count / 2 ** len(rest)


# --- q5 loops
def holm(p, level):
    n = len(p)
    found = [False] * n
    for k, i in enumerate(sorted(range(n), key=lambda i: float(p[i]))):
        if p[i] > level / (n - k):
            break
        found[i] = True
    return torch.tensor(found)


def benjamini_hochberg(p, level):
    n = len(p)
    order = sorted(range(n), key=lambda i: float(p[i]))
    last = 0
    for k in range(1, n + 1):
        if p[order[k - 1]] <= level * k / n:
            last = k
    found = torch.zeros(n, dtype=torch.bool)
    for i in order[:last]:
        found[i] = True
    return found


# --- q5 adjusted
def holm(p, level):
    values, order = p.sort()
    n = len(p)
    adjusted = (values * torch.arange(n, 0, -1)).cummax(0).values
    return torch.empty(n, dtype=torch.bool).scatter(0, order, adjusted <= level)


def benjamini_hochberg(p, level):
    values, order = p.sort(descending=True)
    n = len(p)
    adjusted = (values * n / torch.arange(n, 0, -1)).cummin(0).values
    return (adjusted <= level)[order.argsort()]


# --- q5 thresholds
def holm(p, level):
    ranked, n = p.sort().values, len(p)
    bad = (ranked > level / (n - torch.arange(n).double())).nonzero()
    return torch.ones(n, dtype=torch.bool) if not len(bad) else p < ranked[bad[0, 0]]


def benjamini_hochberg(p, level):
    ranked, n = p.sort().values, len(p)
    good = ranked[ranked <= level * torch.arange(1, n + 1).double() / n]
    return p <= good.max() if len(good) else torch.zeros_like(p, dtype=torch.bool)


# --- q5 numpy
def holm(p, level):
    import numpy as np

    x = p.numpy()
    order = np.argsort(x)
    passed = np.logical_and.accumulate(x[order] <= level / np.arange(len(x), 0, -1))
    out = np.zeros(len(x), dtype=bool)
    out[order] = passed
    return torch.from_numpy(out)


def benjamini_hochberg(p, level):
    import numpy as np

    x = p.numpy()
    order = np.argsort(x)
    passed = x[order] <= level * np.arange(1, len(x) + 1) / len(x)
    out = np.zeros(len(x), dtype=bool)
    if passed.any():
        out[order[: np.flatnonzero(passed)[-1] + 1]] = True
    return torch.from_numpy(out)


# --- q6 torch
def expected_chosen(valid, test, n):
    order = torch.tensor(valid, dtype=torch.float64).argsort()
    scores = torch.tensor(test, dtype=torch.float64)[order]
    edges = torch.linspace(0, 1, len(order) + 1, dtype=torch.float64) ** n
    return scores @ edges.diff()


# --- q6 float32
def expected_chosen(valid, test, n):
    scores = torch.tensor(test)[torch.tensor(valid).argsort()]
    below = torch.arange(len(scores) + 1) / len(scores)
    return (scores * (below[1:] ** n - below[:-1] ** n)).sum()


# --- q6 count-the-better
def expected_chosen(valid, test, n):
    total, told = len(valid), 0.0
    for v, score in zip(valid, test):
        worse = sum(other < v for other in valid)
        told += score * (((worse + 1) / total) ** n - (worse / total) ** n)
    return told


# --- q6 sums-by-parts
def expected_chosen(valid, test, n):
    import numpy as np

    ranked = np.array(test)[np.argsort(valid)]
    below = (np.arange(1, len(ranked)) / len(ranked)) ** n
    return ranked[-1] - np.sum(below * np.diff(ranked))


# --- q7 numpy-counts
def spearman(x, y):
    import numpy as np

    ranks = []
    for values in (x, y):
        v = np.asarray(values)
        if v.min() == v.max():
            raise ValueError("no order")
        ranks.append([((v < one).sum() + (v <= one).sum() + 1) / 2 for one in v])
    return np.corrcoef(*ranks)[0, 1]


# --- q7 groups
def spearman(x, y):
    def ranks(values):
        ordered, out = sorted(values), {}
        for value, group in itertools.groupby(enumerate(ordered, 1), key=lambda pair: pair[1]):
            places = [place for place, _ in group]
            out[value] = sum(places) / len(places)
        if len(out) == 1:
            raise ValueError(f"all are {values[0]}")
        return [out[value] for value in values]

    return statistics.correlation(ranks(x), ranks(y))


# --- q7 sign-of-the-pairs
def spearman(x, y):
    a, b = (torch.tensor(v, dtype=torch.float64) for v in (x, y))
    a, b = ((v[:, None] - v).sign().sum(1) for v in (a, b))  # twice the rank, less its mean
    if a.abs().sum() == 0 or b.abs().sum() == 0:
        raise ValueError("no order in one of the two")
    return torch.cosine_similarity(a, b, dim=0)


# --- q7 unique
def spearman(x, y):
    rows = []
    for values in (x, y):
        _, place, count = torch.tensor(values, dtype=torch.float64).unique(
            return_inverse=True, return_counts=True
        )
        if len(count) < 2:
            raise ValueError("one value only")
        rows.append((count.cumsum(0) - (count - 1) / 2)[place])
    return float(torch.corrcoef(torch.stack(rows).double())[0, 1])


# --- q8 mapping
class Watched(Mapping):
    def __init__(self, options):
        self.options, self.asked = options, []

    def __getitem__(self, name):
        self.asked.append(name)
        return self.options[name]

    def __iter__(self):
        return iter(self.options)

    def __len__(self):
        return len(self.options)


def unread(make, options):
    watched = Watched(options)
    make(watched)
    return sorted(set(options).difference(watched.asked))


def confounds(one, other, named):
    def counts(config):
        out = {}
        for side in ("encoder", "decoder"):
            for field in dataclasses.fields(config):
                if field.init and field.name not in ("encoder", "decoder"):
                    out[f"{side}.{field.name}"] = getattr(config, field.name)
            out.update({f"{side}.{name}": value for name, value in getattr(config, side).items()})
        return out

    a, b = counts(one), counts(other)
    return sorted(key for key in a if a[key] != b[key] and key.split(".")[1] not in named)


# --- q8 userdict
def unread(make, options):
    from collections import UserDict

    left = set(options)

    class Options(UserDict):
        def __getitem__(self, name):
            left.discard(name)
            return self.data[name]

    make(Options(options))
    return sorted(left)


def confounds(one, other, named):
    found = []
    for side, field in itertools.product(["decoder", "encoder"], dataclasses.fields(Config)):
        name = field.name
        if not field.init or name in {"encoder", "decoder"} | set(named):
            continue
        a = getattr(one, side)[name] if name in getattr(one, side) else getattr(one, name)
        b = getattr(other, side)[name] if name in getattr(other, side) else getattr(other, name)
        if a != b:
            found.append(side + "." + name)
    return sorted(found)


# --- q8 plain-class-and-replace
def unread(make, options):
    class Asked:
        def __init__(self):
            self.names = set()

        def __getitem__(self, name):
            self.names.add(name)
            return options[name]

        def get(self, name, default=None):
            self.names.add(name)
            return options[name] if name in options else default

    asked = Asked()
    make(asked)
    return sorted(name for name in options if name not in asked.names)


def confounds(one, other, named):
    found = set()
    for side in ("encoder", "decoder"):
        flat = [dataclasses.replace(c, **getattr(c, side), encoder={}, decoder={}) for c in (one, other)]
        for field in dataclasses.fields(flat[0]):
            if field.init and getattr(flat[0], field.name) != getattr(flat[1], field.name):
                found.add((side, field.name))
    return sorted(f"{side}.{name}" for side, name in found if name not in named)


# --- q9 dictionary-of-ids
def parameter_ratio(make, base):
    def learned(build):
        with torch.device("meta"):
            module = build()
        seen = {id(p): p.numel() for p in module.parameters() if p.requires_grad}
        return sum(seen.values())

    return learned(make) / learned(base)


def race(one, other, rounds, clock):
    one()
    other()
    ratios = []
    for i in range(rounds):
        if i % 2:
            t0 = clock()
            other()
            t1 = clock()
            one()
            t2 = clock()
            ratios.append((t1 - t0) / (t2 - t1))
        else:
            t0 = clock()
            one()
            t1 = clock()
            other()
            t2 = clock()
            ratios.append((t2 - t1) / (t1 - t0))
    return statistics.median(ratios)


# --- q9 default-device
def parameter_ratio(make, base):
    def count(module):
        return sum(math.prod(p.shape) for p in module.parameters() if p.requires_grad)

    before = torch.get_default_device()
    torch.set_default_device("meta")
    try:
        return count(make()) / count(base())
    finally:
        torch.set_default_device(before)


def race(one, other, rounds, clock):
    times = {0: [], 1: []}
    work = [one, other]
    for run in (other, one):
        run()
    for number in range(rounds):
        for which in (number % 2, 1 - number % 2):
            start = clock()
            work[which]()
            times[which].append(clock() - start)
    return torch.tensor([b / a for a, b in zip(times[0], times[1])], dtype=torch.float64).quantile(0.5)


# --- q9 named-parameters
def learned_numbers(build):
    with torch.device("meta"):
        module = build()
    return sum(p.numel() for _, p in module.named_parameters() if p.requires_grad)


def parameter_ratio(make, base):
    return torch.tensor(learned_numbers(make) / learned_numbers(base), dtype=torch.float64)


def race(one, other, rounds, clock):
    import numpy as np

    def timed(run):
        begun = clock()
        run()
        ended = clock()
        return ended - begun

    one(), other()
    ratios = np.empty(rounds)
    for i in range(rounds):
        first, second = (one, other) if i % 2 == 0 else (other, one)
        x = timed(first)
        y = timed(second)
        ratios[i] = y / x if i % 2 == 0 else x / y
    return np.median(ratios)
