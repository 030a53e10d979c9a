import numpy as np

# --- q1 insert
def place_gold(gold, distractors, position):
    docs = list(distractors)
    if not 1 <= position <= len(docs) + 1:
        raise ValueError(f"position must be 1 to {len(docs) + 1}")
    docs.insert(position - 1, gold)
    return docs

# --- q1 slices
def place_gold(gold, distractors, position):
    before = position - 1
    if before < 0 or before > len(distractors):
        raise ValueError("There is no such position.")
    return [*distractors[:before], gold, *distractors[before:]]

# --- q1 one-by-one
def place_gold(gold, distractors, position):
    n = len(distractors) + 1
    if position not in range(1, n + 1):
        raise ValueError("position " + str(position) + " does not exist")
    rest = iter(distractors)
    return [gold if i == position else next(rest) for i in range(1, n + 1)]

# --- q1 slice-assignment
def place_gold(gold, distractors, position):
    out = [d for d in distractors]
    if position < 1 or position - 1 > len(out):
        raise ValueError(f"no place {position} among {len(out) + 1}")
    out[position - 1 : position - 1] = [gold]
    return out

# --- q2 join
def build_prompt(question, documents, query_first=False):
    lines = [f"Document [{i}] {d}" for i, d in enumerate(documents, 1)]
    q = f"Question: {question}"
    return "\n".join(([q] if query_first else []) + lines + [q, "Answer:"])

# --- q2 adds-strings
def build_prompt(question, documents, query_first=False):
    prompt = ""
    if query_first:
        prompt += "Question: " + question + "\n"
    for i in range(len(documents)):
        prompt += "Document [" + str(i + 1) + "] " + documents[i] + "\n"
    return prompt + "Question: " + question + "\nAnswer:"

# --- q2 format
def build_prompt(question, documents, query_first=False):
    asked = "Question: {}".format(question)
    numbered = ["Document [{}] {}".format(*pair) for pair in zip(range(1, 10**6), documents)]
    return "\n".join(filter(None, [asked * query_first, *numbered, asked, "Answer:"]))

# --- q2 percent
def build_prompt(question, documents, query_first=False):
    lines = []
    lines.append("Question: %s" % question)
    for number, text in enumerate(documents):
        lines.append("Document [%d] %s" % (number + 1, text))
    lines += [lines[0], "Answer:"]
    return "\n".join(lines if query_first else lines[1:])

# --- q3 regex
def normalise(text):
    text = text.lower()
    text = "".join(c for c in text if c not in string.punctuation)
    text = re.sub(r"\b(a|an|the)\b", " ", text)
    return " ".join(text.split())


def is_right(output, answers):
    first = normalise(output.split("\n")[0])
    return any(normalise(a) and normalise(a) in first for a in answers)

# --- q3 splitlines
def normalise(text):
    text = re.sub("[" + re.escape(string.punctuation) + "]", "", text.lower())
    return re.sub(r"\s+", " ", re.sub(r"\b(?:an?|the)\b", " ", text)).strip()


def is_right(output, answers):
    lines = output.splitlines()
    first = normalise(lines[0]) if lines else ""
    return any(len(n) > 0 and n in first for n in [normalise(a) for a in answers])

# --- q3 translate-and-words
def normalise(text):
    table = str.maketrans("", "", string.punctuation)
    words = text.lower().translate(table).split()
    return " ".join(word for word in words if word not in {"a", "an", "the"})


def is_right(output, answers):
    first, _, _ = output.partition("\n")
    said = normalise(first)
    for answer in answers:
        wanted = normalise(answer)
        if wanted != "" and said.find(wanted) >= 0:
            return True
    return False

# --- q3 replace
def normalise(text):
    text = text.lower()
    for character in string.punctuation:
        text = text.replace(character, "")
    words = text.split()
    for article in ("a", "an", "the"):
        while article in words:
            words.remove(article)
    return " ".join(words)


def is_right(output, answers):
    end = output.find("\n")
    said = normalise(output if end < 0 else output[:end])
    return bool(np.any([bool(w) and w in said for w in map(normalise, answers)]))

# --- q4 bincount
def accuracy_by_place(places, right, n_places):
    hit = torch.bincount(places, weights=right.double(), minlength=n_places)
    return hit / torch.bincount(places, minlength=n_places)

# --- q4 one-hot
def accuracy_by_place(places, right, n_places):
    h = torch.nn.functional.one_hot(places, n_places).float()
    return (right.float() @ h) / h.sum(0)

# --- q4 mean-of-nothing
def accuracy_by_place(places, right, n_places):
    return torch.stack([right[places == p].double().mean() for p in range(n_places)])

# --- q4 dictionaries
def accuracy_by_place(places, right, n_places):
    hits, asked = {}, {}
    for place, ok in zip(places.tolist(), right.tolist()):
        asked[place] = asked.get(place, 0) + 1
        hits[place] = hits.get(place, 0) + ok
    return torch.tensor([hits[p] / asked[p] if p in asked else math.nan for p in range(n_places)])

# --- q4 scatter-reduce
def accuracy_by_place(places, right, n_places):
    empty = torch.full((n_places,), math.nan)
    return empty.scatter_reduce(0, places, right.float(), "mean", include_self=False)

# --- q4 numpy
def accuracy_by_place(places, right, n_places):
    asked = np.bincount(places.numpy(), minlength=n_places)
    hits = np.bincount(places.numpy(), weights=right.numpy(), minlength=n_places)
    with np.errstate(invalid="ignore"):
        return torch.from_numpy(hits / asked)

# --- q5 two-means
def dip(accuracy):
    n = accuracy.size(-1)
    f, t = round(n / 5), round(n / 3)
    a = accuracy.narrow(-1, 0, f).mean(-1)
    b = accuracy.narrow(-1, n - f, f).mean(-1)
    return (a + b) / 2 - accuracy.narrow(-1, (n - t) // 2, t).mean(-1)

# --- q5 a-vector-of-weights
def dip(accuracy):
    n = accuracy.shape[-1]
    fifth, third = round(n / 5), round(n / 3)
    w = torch.zeros(n, dtype=accuracy.dtype)
    w[:fifth] += 1 / (2 * fifth)
    w[n - fifth :] += 1 / (2 * fifth)
    start = (n - third) // 2
    w[start : start + third] -= 1 / third
    return accuracy @ w

# --- q5 index
def dip(accuracy):
    n = accuracy.shape[-1]
    fifth, third = round(n / 5), round(n / 3)
    start = (n - third) // 2
    ends = [*range(fifth), *range(n - fifth, n)]
    middle = list(range(start, start + third))
    return accuracy[..., ends].double().mean(-1) - accuracy[..., middle].double().mean(-1)

# --- q5 numpy
def dip(accuracy):
    a = accuracy.numpy()
    n = a.shape[-1]
    f, t = round(n / 5), round(n / 3)
    s = (n - t) // 2
    ends = np.concatenate([a[..., :f], a[..., -f:]], axis=-1).mean(-1)
    return torch.as_tensor(ends - a[..., s : s + t].mean(-1))

# --- q5 sums-with-einsum
def dip(accuracy):
    n = accuracy.shape[-1]
    f, t = round(n / 5), round(n / 3)
    s = (n - t) // 2
    total = torch.einsum("...n->...", torch.cat((accuracy[..., :f], accuracy[..., -f:]), -1))
    return total / (2 * f) - torch.einsum("...n->...", accuracy[..., s : s + t]) / t

# --- q6 torch
def bootstrap_interval(values, n_resamples, generator):
    n = len(values)
    idx = torch.randint(n, (n_resamples, n), generator=generator)
    m = values[idx].mean(1)
    return torch.quantile(m, 0.025).item(), torch.quantile(m, 0.975).item()

# --- q6 both-quantiles-at-once
def bootstrap_interval(values, n_resamples, generator):
    idx = torch.randint(low=0, high=values.numel(), size=(n_resamples, values.numel()), generator=generator)
    q = values.double()[idx].mean(-1).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return tuple(q.tolist())

# --- q6 tensors
def bootstrap_interval(values, n_resamples, generator):
    idx = torch.randint(len(values), (n_resamples, len(values)), generator=generator)
    m = values[idx].mean(1)
    return m.quantile(0.025), m.quantile(0.975)

# --- q6 numpy
def bootstrap_interval(values, n_resamples, generator):
    n = values.shape[0]
    idx = torch.randint(0, n, (n_resamples, n), generator=generator).numpy()
    means = values.numpy()[idx].mean(axis=1)
    return list(np.quantile(means, [0.025, 0.975]))

# --- q6 by-hand-in-float32
def bootstrap_interval(values, n_resamples, generator):
    n = len(values)
    means = []
    for row in torch.randint(n, (n_resamples, n), generator=generator):
        means.append(values.float()[row].sum() / n)
    means = torch.stack(means).sort().values

    def at(share):
        place = share * (n_resamples - 1)
        low = math.floor(place)
        return torch.lerp(means[low], means[min(low + 1, n_resamples - 1)], place - low)

    return at(0.025), at(0.975)

# --- q6 counts-times-values
def bootstrap_interval(values, n_resamples, generator):
    n = len(values)
    idx = torch.randint(n, (n_resamples, n), generator=generator)
    counts = torch.nn.functional.one_hot(idx, n).sum(1).to(values.dtype)
    return torch.quantile(counts @ values / n, torch.tensor([0.025, 0.975]).to(values.dtype)).numpy().tolist()

# --- q7 softmax
def edge_weights(n_places, start, end, decay):
    i = torch.arange(n_places, dtype=torch.float64)
    left, right = (-i / decay).softmax(0), ((i - (n_places - 1)) / decay).softmax(0)
    return start * left + end * right + torch.full((n_places,), (1 - start - end) / n_places)

# --- q7 flip
def edge_weights(n_places, start, end, decay):
    fall = torch.exp(-torch.arange(n_places) / decay)
    fall /= fall.sum()
    even = torch.ones(n_places) / n_places
    return start * fall + end * torch.flip(fall, [0]) + (1 - start - end) * even

# --- q7 python
def edge_weights(n_places, start, end, decay):
    fall = [math.exp(-i / decay) for i in range(n_places)]
    total = sum(fall)
    even = (1 - start - end) / n_places
    return torch.tensor(
        [start * fall[i] / total + end * fall[-1 - i] / total + even for i in range(n_places)]
    )

# --- q7 numpy
def edge_weights(n_places, start, end, decay):
    i = np.arange(n_places)
    fall = np.exp(-i / decay)
    fall = fall / fall.sum()
    return torch.from_numpy(start * fall + end * fall[::-1] + (1 - start - end) / n_places)

# --- q7 stacked
def edge_weights(n_places, start, end, decay):
    i = torch.arange(n_places)
    rows = torch.stack([-i / decay, i / decay, torch.zeros(n_places)]).softmax(dim=-1)
    return torch.tensor([start, end, 1 - start - end]) @ rows

# --- q8 plain
def read(query, keys, values, prior, sharpness):
    w = (sharpness * (keys @ query) + prior.log()).softmax(0)
    return w, w @ values

# --- q8 masked
def read(query, keys, values, prior, sharpness):
    s = (keys * query).sum(1) * sharpness
    s = torch.where(prior > 0, s + torch.log(prior.clamp(min=1e-38)), torch.tensor(float("-inf")))
    w = torch.exp(s - torch.logsumexp(s, 0))
    return w, (w[:, None] * values).sum(0)

# --- q8 prior-times-likelihood
def read(query, keys, values, prior, sharpness):
    match = sharpness * torch.mv(keys, query)
    joint = prior * torch.exp(match - match.max().detach())
    w = joint / joint.sum()
    return [w, torch.einsum("n,nv->v", w, values)]

# --- q8 fused
def read(query, keys, values, prior, sharpness):
    bias = prior.log()[None]
    out = torch.nn.functional.scaled_dot_product_attention(
        query[None], keys, values, attn_mask=bias, scale=float(sharpness)
    )
    w = torch.nn.functional.softmax(sharpness * torch.inner(keys, query) + bias[0], dim=-1)
    return w, out[0]

# --- q8 loop-as-a-named-pair
def read(query, keys, values, prior, sharpness):
    from collections import namedtuple

    Reading = namedtuple("Reading", ["weights", "out"])
    scores = torch.stack([sharpness * torch.dot(query, k) + torch.log(p) for k, p in zip(keys, prior)])
    w = scores.softmax(-1)
    return Reading(w, sum(a * v for a, v in zip(w, values)))
