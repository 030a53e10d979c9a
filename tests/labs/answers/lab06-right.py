"""Right answers to lab 6, in many styles: `# --- qN name` begins an answer to question N."""

# ruff: noqa


# --- q1 topk
def route(x, weight):
    p = torch.softmax(F.linear(x.to(torch.float32), weight.to(torch.float32)), dim=1)
    gate, expert = p.topk(1, dim=1)
    return expert[:, 0], gate[:, 0]


# --- q1 argmax-and-gather
def route(x, weight):
    logits = torch.einsum("td,ed->te", x.float(), weight.float())
    expert = logits.argmax(dim=-1)
    p = F.softmax(logits, dim=-1, dtype=torch.float32)
    return expert, p.gather(1, expert.unsqueeze(1)).squeeze(1)


# --- q1 token-by-token
def route(x, weight):
    experts, gates = [], []
    for token in x.float():
        p = torch.softmax(weight.float() @ token, 0)
        n = int(p.argmax())
        experts.append(n)
        gates.append(p[n])
    return torch.tensor(experts, dtype=torch.int32), torch.stack(gates)


# --- q1 logsumexp-list
def route(x, weight):
    logits = x.float() @ weight.float().mT
    best = logits.max(dim=1)
    return [best.indices, torch.exp(best.values - torch.logsumexp(logits, 1))]


# --- q2 counters
def admit(experts, n_experts, factor):
    room = max(1, math.floor(factor * len(experts) / n_experts))
    used = [0] * n_experts
    keep = torch.zeros(len(experts), dtype=torch.bool)
    for t, e in enumerate(experts):
        keep[t] = used[e] < room
        used[e] += 1
    return keep


# --- q2 sort-and-rank
def admit(experts, n_experts, factor):
    capacity = max(int(experts.numel() / n_experts * factor), 1)
    order = torch.argsort(experts, stable=True)
    counts = torch.bincount(experts, minlength=n_experts)
    starts = counts.cumsum(0) - counts
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(experts)) - starts[experts[order]]
    return rank < capacity


# --- q2 expert-by-expert
def admit(experts, n_experts, factor):
    capacity = int(max(1.0, len(experts) / n_experts * factor))
    keep = torch.zeros_like(experts, dtype=torch.bool)
    for n in range(n_experts):
        keep[(experts == n).nonzero().flatten()[:capacity]] = True
    return keep


# --- q2 all-pairs
def admit(experts, n_experts, factor):
    same = experts[:, None] == experts[None, :]
    earlier = same.tril(-1).sum(1)
    return earlier < max(1, int(len(experts) * factor / n_experts))


# --- q2 dictionary
def admit(experts, n_experts, factor):
    from collections import Counter

    capacity, seen, out = max(1, int(len(experts) / n_experts * factor)), Counter(), []
    for e in experts.tolist():
        seen[e] += 1
        out.append(seen[e] <= capacity)
    return torch.tensor(out, dtype=torch.bool)


# --- q3 lists-of-places
def dispatch(x, experts, gates, keep, networks):
    places = [[] for _ in networks]
    for t, (e, k) in enumerate(zip(experts.tolist(), keep.tolist())):
        if k:
            places[e].append(t)
    out = torch.zeros_like(x)
    for mine, network in zip(places, networks):
        if mine:
            rows = torch.tensor(mine)
            out[rows] = network(x[rows]) * gates[rows].unsqueeze(1)
    return out


# --- q3 in-place-rows
def dispatch(x, experts, gates, keep, networks):
    kept = keep.nonzero().flatten()
    kept = kept[experts[kept].argsort()]
    counts = torch.bincount(experts[kept], minlength=len(networks)).tolist()
    out, at = torch.zeros_like(x), 0
    for network, count in zip(networks, counts):
        if count:
            rows = kept[at : at + count]
            out[rows] = gates[rows, None] * network(x[rows])
            at += count
    return out


# --- q3 scatter-back
def dispatch(x, experts, gates, keep, networks):
    n = len(networks)
    order = torch.where(keep, experts, n).argsort(stable=True)
    sizes = torch.bincount(torch.where(keep, experts, n), minlength=n + 1).tolist()
    parts = x[order].split(sizes)
    done = [net(part) for net, part in zip(networks, parts)] + [torch.zeros_like(parts[-1])]
    done = torch.cat(done) * gates[order].unsqueeze(-1)
    return done[order.argsort()]


# --- q3 index-copy
def dispatch(x, experts, gates, keep, networks):
    sorted_experts, order = torch.sort(experts[keep])
    rows = torch.arange(len(x))[keep][order]
    ends = torch.searchsorted(sorted_experts, torch.arange(len(networks)), right=True).tolist()
    starts = [0, *ends[:-1]]
    outs = [net(x[rows[a:b]]) for net, a, b in zip(networks, starts, ends)]
    return torch.zeros_like(x).index_copy(0, rows, torch.cat(outs) * gates[rows][:, None])


# --- q3 python-sort
def dispatch(x, experts, gates, keep, networks):
    rows = sorted((e, t) for t, (e, k) in enumerate(zip(experts.tolist(), keep.tolist())) if k)
    if not rows:
        return torch.zeros_like(x)
    from itertools import groupby

    order, outs = [], []
    for e, group in groupby(rows, key=lambda pair: pair[0]):
        mine = [t for _, t in group]
        order += mine
        outs.append(networks[e](x[mine]))
    back = torch.zeros_like(x)
    back[order] = torch.cat(outs) * gates[order][:, None]
    return back


# --- q4 one-hot
def balance_loss(probabilities, experts):
    n = probabilities.size(-1)
    f = F.one_hot(experts, n).float().mean(dim=0)
    return n * torch.dot(f, probabilities.mean(dim=0))


def z_loss(logits):
    return torch.logsumexp(logits, dim=-1).pow(2).mean()


# --- q4 loop-over-experts
def balance_loss(probabilities, experts):
    total = 0.0
    for e in range(probabilities.shape[1]):
        f = (experts == e).float().mean()
        total = total + f * probabilities[:, e].mean()
    return total * probabilities.shape[1]


def z_loss(logits):
    most = logits.max(-1, keepdim=True).values
    z = most[:, 0] + torch.log(torch.exp(logits - most).sum(-1))
    return (z * z).sum() / len(logits)


# --- q4 gather-the-shares
def balance_loss(probabilities, experts):
    tokens, n = probabilities.shape
    counts = torch.zeros(n).index_add(0, experts, torch.ones(tokens))
    return (probabilities @ counts).sum() * n / tokens**2


def z_loss(logits):
    losses = [torch.logsumexp(row, 0) ** 2 for row in logits]
    return torch.stack(losses).mean()


# --- q4 histogram
def balance_loss(probabilities, experts):
    n = probabilities.shape[-1]
    share = torch.histc(experts.float(), bins=n, min=-0.5, max=n - 0.5) / experts.numel()
    return torch.einsum("e,te->", share, probabilities) * n / len(probabilities)


def z_loss(logits):
    chosen = logits[:, 0] - logits.log_softmax(-1)[:, 0]
    return F.mse_loss(chosen, torch.zeros_like(chosen))


# --- q5 mask
def choose(scores, bias, k):
    experts = torch.topk(scores + bias[None], k).indices
    mask = torch.zeros_like(scores).scatter(1, experts, 1.0)
    kept = scores * mask
    return experts, (kept / kept.sum(1, keepdim=True)).gather(1, experts)


def move_bias(bias, experts, rate):
    counts = F.one_hot(experts.flatten(), len(bias)).sum(0).float()
    return bias - rate * torch.sign(counts - counts.mean())


# --- q5 argsort-and-loop
def choose(scores, bias, k):
    experts, gates = [], []
    for row in scores:
        best = torch.argsort(row + bias, descending=True)[:k]
        experts.append(best)
        gates.append(row[best] / row[best].sum())
    return torch.stack(experts), torch.stack(gates)


def move_bias(bias, experts, rate):
    visits = experts.flatten().tolist()
    mean = len(visits) / len(bias)
    new = bias.clone()
    for e in range(len(bias)):
        count = visits.count(e)
        if count > mean:
            new[e] = new[e] - rate
        elif count < mean:
            new[e] = new[e] + rate
    return new


# --- q5 take-along-dim
def choose(scores, bias, k):
    with torch.no_grad():
        _, experts = torch.topk(scores + bias, k, dim=-1, sorted=False)
    s = torch.take_along_dim(scores, experts, dim=-1)
    return experts, F.normalize(s, p=1, dim=-1)


def move_bias(bias, experts, rate):
    load = torch.bincount(experts.reshape(-1), minlength=bias.numel())
    total = load.sum()
    busy, idle = load * len(bias) > total, load * len(bias) < total
    return bias - rate * busy.float() + rate * idle.float()


# --- q5 sorted-by-number
def choose(scores, bias, k):
    experts = (scores + bias).argsort(-1, descending=True)[:, :k].sort(-1).values
    rows = torch.arange(len(scores))[:, None]
    picked = scores[rows, experts]
    return (experts.int(), picked / picked.sum(-1, keepdim=True))


def move_bias(bias, experts, rate):
    load = torch.zeros(len(bias)).index_add(0, experts.flatten(), torch.ones(experts.numel()))
    step = torch.where(load > load.mean(), -rate, torch.where(load < load.mean(), rate, 0.0))
    return bias + step


# --- q6 a-list-of-texts
def leak(layer, x, start):
    before = layer(x)[:, :start]
    versions = []
    for factor in (-1, 100, -100):
        other = x.clone()
        other[:, start:] = other[:, start:] * factor
        versions.append(other)
    versions.append(x[:, :start])
    worst = 0.0
    for other in versions:
        after = layer(other)[:, :start]
        worst = max(worst, (after - before).abs().max().item())
    return worst


def admit_causally(experts, n_experts, factor):
    out = torch.zeros(experts.shape, dtype=torch.bool)
    for b, text in enumerate(experts.tolist()):
        seen = [0] * n_experts
        for t, e in enumerate(text):
            seen[e] += 1
            out[b, t] = seen[e] <= max(1, int((t + 1) / n_experts * factor))
    return out


# --- q6 scale-vector
def leak(layer, x, start):
    late = torch.arange(x.shape[1])[None, :, None] >= start
    want = layer(x.clone())[:, :start, :]
    differences = [layer(x[:, :start].clone()) - want]
    for scale in [-1.0, 100.0, -100.0]:
        differences.append(layer(torch.where(late, scale * x, x))[:, :start] - want)
    return torch.stack(differences).abs().amax()


def admit_causally(experts, n_experts, factor):
    same = experts[:, :, None] == experts[:, None, :]  # (texts, t, earlier)
    count = same.tril().sum(-1)
    t = torch.arange(1, experts.shape[1] + 1, dtype=torch.float64)
    room = torch.clamp(torch.floor(t * factor / n_experts), min=1)
    return count <= room[None]


# --- q6 numpy
def leak(layer, x, start):
    import numpy as np

    with torch.no_grad():
        base = layer(x)[:, :start].numpy()
        scale = torch.ones(x.shape[1], 1)
        worst = np.abs(layer(x[:, :start].contiguous()).numpy() - base).max()
        for by in (-1, 100, -100):
            scale[start:] = by
            worst = max(worst, np.abs(layer(x * scale)[:, :start].numpy() - base).max())
    return float(worst)


def admit_causally(experts, n_experts, factor):
    rows = []
    for text in experts:
        counts = F.one_hot(text, n_experts).cumsum(0)
        mine = counts[torch.arange(len(text)), text].tolist()
        rows.append(
            [c <= max(1, math.floor((t + 1) / n_experts * factor)) for t, c in enumerate(mine)]
        )
    return torch.tensor(rows, dtype=torch.bool)


# --- q6 hstack
def leak(layer, x, start):
    early, late = torch.tensor_split(x, [start], dim=1)
    out = layer(x)[:, :start]
    changed = [layer(torch.hstack([early, s * late]))[:, :start] for s in (-1, 100, -100)]
    changed.append(layer(early))
    return max(torch.dist(one, out, p=float("inf")).item() for one in changed)


def admit_causally(experts, n_experts, factor):
    keep = torch.zeros_like(experts, dtype=torch.bool)
    steps = (torch.arange(experts.shape[1]) + 1) * (factor / n_experts)
    room = steps.int().clamp(min=1)
    for e in range(n_experts):
        mine = experts == e
        keep |= mine & (mine.cumsum(-1) <= room)
    return keep


# --- q6 one-buffer
def leak(layer, x, start):
    base, buffer, worst = layer(x)[:, :start].clone(), x.clone(), 0.0
    for by in (-1, 100, -100):
        buffer[:, start:] = x[:, start:]
        buffer[:, start:] *= by
        worst = max(worst, float((layer(buffer)[:, :start] - base).abs().max()))
    return max(worst, float((layer(x[:, :start]) - base).abs().max()))


def admit_causally(experts, n_experts, factor):
    texts, length = experts.shape
    seen = torch.zeros(texts, n_experts)
    keep = []
    for t in range(length):
        seen = seen + F.one_hot(experts[:, t], n_experts)
        mine = seen.gather(1, experts[:, t : t + 1])[:, 0]
        keep.append(mine <= max(1, int((t + 1) / n_experts * factor)))
    return torch.stack(keep, 1)


# --- q7 mask-of-products
def best_pairs(first, second, k):
    a, ia = first.topk(k)
    b, ib = second.topk(k)
    ranks = torch.arange(1, k + 1)
    r, c = (ranks[:, None] * ranks <= k).nonzero(as_tuple=True)
    sums = a.index_select(1, r) + b.index_select(1, c)
    best = sums.topk(k)
    i = ia.index_select(1, r).gather(1, best.indices)
    j = ib.index_select(1, c).gather(1, best.indices)
    return best.values, i * second.size(1) + j


# --- q7 row-by-row
def best_pairs(first, second, k):
    a, ia = torch.sort(first, dim=1, descending=True)
    b, ib = torch.sort(second, dim=1, descending=True)
    sums, numbers = [], []
    for r in range(k):
        wide = k // (r + 1)
        sums.append(a[:, r : r + 1] + b[:, :wide])
        numbers.append(ia[:, r : r + 1] * second.shape[1] + ib[:, :wide])
    sums, numbers = torch.cat(sums, 1), torch.cat(numbers, 1)
    order = sums.argsort(1, descending=True)[:, :k]
    return torch.take_along_dim(sums, order, 1), torch.take_along_dim(numbers, order, 1)


# --- q7 heap
def best_pairs(first, second, k):
    import heapq

    m, rows, columns = second.shape[1], [], []
    for f, s in zip(first.tolist(), second.tolist()):
        order_f = sorted(range(len(f)), key=lambda i: -f[i])
        order_s = sorted(range(m), key=lambda j: -s[j])
        heap = [(-(f[order_f[0]] + s[order_s[0]]), 0, 0)]
        i, j = [], []
        while len(i) < k:
            _, r, c = heapq.heappop(heap)
            i.append(order_f[r])
            j.append(order_s[c])
            if c + 1 < m:
                heapq.heappush(heap, (-(f[order_f[r]] + s[order_s[c + 1]]), r, c + 1))
            if c == 0 and r + 1 < len(f):
                heapq.heappush(heap, (-(f[order_f[r + 1]] + s[order_s[0]]), r + 1, 0))
        rows.append(i)
        columns.append(j)
    i, j = torch.tensor(rows), torch.tensor(columns)
    return first.gather(1, i) + second.gather(1, j), i * m + j


# --- q7 token-by-token
def best_pairs(first, second, k):
    pairs = torch.tensor([(r, c) for r in range(k) for c in range(k) if (r + 1) * (c + 1) <= k])
    sums, numbers = [], []
    for f, s in zip(first, second):
        (fv, fi), (sv, si) = f.topk(k), s.topk(k)
        v, at = (fv[pairs[:, 0]] + sv[pairs[:, 1]]).topk(k)
        sums.append(v)
        numbers.append(fi[pairs[at, 0]] * len(s) + si[pairs[at, 1]])
    return torch.stack(sums), torch.stack(numbers)


# --- q8 einsum
def read(sums, numbers, values):
    return torch.einsum("thk,thkd->td", torch.softmax(sums, dim=-1), values[numbers])


# --- q8 embedding-bag
def read(sums, numbers, values):
    weights = sums.softmax(-1).flatten(1)
    return F.embedding_bag(numbers.flatten(1), values, per_sample_weights=weights, mode="sum")


# --- q8 loops
def read(sums, numbers, values):
    out = []
    for s, n in zip(sums, numbers):
        token = torch.zeros(values.shape[1])
        for head in range(len(s)):
            token = token + torch.softmax(s[head], 0) @ values[n[head]]
        out.append(token)
    return torch.stack(out)


# --- q8 head-by-head
def read(sums, numbers, values):
    total = 0
    for h in range(sums.shape[1]):
        w = F.softmax(sums[:, h], dim=1)
        total = total + torch.bmm(w[:, None], values[numbers[:, h]])[:, 0]
    return total


# --- q8 index-select
def read(sums, numbers, values):
    t, h, k = sums.shape
    rows = values.index_select(0, numbers.reshape(-1)).view(t, h * k, -1)
    return (sums.softmax(2).reshape(t, h * k, 1) * rows).sum(1)


# --- q9 sums
def experts_bill(d_model, d_ff, n_experts, k):
    parameters = d_model * n_experts + n_experts * (d_model * d_ff + d_ff * d_model)
    flops = 2 * d_model * n_experts + k * (2 * d_model * d_ff + 2 * d_ff * d_model)
    return parameters, flops


def memory_bill(d_model, n_keys, heads, k, d_key):
    half = d_key // 2
    parameters = d_model * heads * d_key + heads * 2 * n_keys * half + n_keys * n_keys * d_model
    flops = heads * (2 * d_model * d_key + 2 * (2 * n_keys * half) + 2 * k * d_model)
    return parameters, flops


# --- q9 floats-and-lists
def experts_bill(d_model, d_ff, n_experts, k):
    return [
        float(n_experts * d_model * (1 + 2 * d_ff)),
        2.0 * d_model * n_experts + 4.0 * k * d_model * d_ff,
    ]


def memory_bill(d_model, n_keys, heads, k, d_key):
    keys = 2 * n_keys * (d_key / 2) * heads
    query = d_model * d_key * heads
    return [query + keys + n_keys**2 * d_model, 2 * (query + keys) + 2 * heads * k * d_model]


# --- q9 modules-that-are-counted
def experts_bill(d_model, d_ff, n_experts, k):
    router = nn.Linear(d_model, n_experts, bias=False)
    expert = nn.Sequential(nn.Linear(d_model, d_ff, bias=False), nn.Linear(d_ff, d_model, bias=False))
    one = sum(p.numel() for p in expert.parameters())
    return (
        router.weight.numel() + n_experts * one,
        2 * router.weight.numel() + 2 * k * one,
    )


def memory_bill(d_model, n_keys, heads, k, d_key):
    query = torch.empty(heads, d_key, d_model)
    keys = torch.empty(heads, 2, n_keys, d_key // 2)
    values = torch.empty(n_keys**2, d_model)
    parameters = torch.tensor([query.numel(), keys.numel(), values.numel()]).sum()
    flops = torch.tensor(2 * (query.numel() + keys.numel() + heads * k * d_model))
    return parameters, flops
