import numpy as np

# --- q1 einsum
def significance(weights, real):
    return torch.einsum("bhqk,bq->bk", weights, real.to(weights.dtype))

# --- q1 masked-fill-then-two-sums
def significance(weights, real):
    return weights.masked_fill(~real[:, None, :, None], 0.0).sum(dim=1).sum(dim=1)

# --- q1 matrix-product
def significance(weights, real):
    rows = real.float().unsqueeze(1)  # (batch, 1, tokens)
    return (rows @ weights.sum(1)).squeeze(1)

# --- q1 loops
def significance(weights, real):
    batch, heads, n, _ = weights.shape
    out = weights.new_zeros(batch, n)
    for b in range(batch):
        for q in range(n):
            if real[b, q]:
                for h in range(heads):
                    out[b] += weights[b, h, q]
    return out

# --- q1 numpy
def significance(weights, real):
    received = weights.numpy() * real.numpy()[:, None, :, None]
    return torch.from_numpy(received.sum(axis=(1, 2)))

# --- q1 in-place-on-a-copy
def significance(weights, real):
    copy = weights.double().clone()
    copy.transpose(1, 2)[~real] = 0
    return copy.sum((1, 2))

# --- q1 boolean-index
def significance(weights, real):
    return torch.stack([w[:, r].flatten(0, 1).sum(0) for w, r in zip(weights, real)])

# --- q1 without-gradients
@torch.inference_mode()
def significance(weights, real):
    return torch.where(real[:, None, :, None], weights, torch.zeros(())).mean(1).sum(1) * weights.shape[1]

# --- q2 sorted-lists
def kept(scores, real, keep):
    rows = []
    for s, r in zip(scores.tolist(), real.tolist()):
        best = sorted(range(1, len(s)), key=lambda i: (not r[i], -s[i], i))
        rows.append(sorted([0, *best[: keep - 1]]))
    return torch.tensor(rows)

# --- q2 ranks-then-nonzero
def kept(scores, real, keep):
    s = scores.double().masked_fill(~real, -1e30)
    s[:, 0] = 1e30
    rank = s.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return (rank < keep).nonzero()[:, 1].view(len(scores), keep)

# --- q2 int32
def kept(scores, real, keep):
    s = torch.where(real, scores, torch.tensor(float("-inf")))
    s[:, 0] = float("inf")
    return s.topk(keep).indices.sort().values.to(torch.int32)

# --- q2 the-first-apart
def kept(scores, real, keep):
    rest = scores[:, 1:].masked_fill(~real[:, 1:], -math.inf)
    chosen = rest.topk(keep - 1, dim=1).indices + 1
    first = torch.zeros(len(scores), 1, dtype=torch.long)
    return torch.cat([first, chosen], dim=1).sort(dim=1)[0]

# --- q2 numpy
def kept(scores, real, keep):
    s = np.where(real.numpy(), scores.numpy(), -np.inf)
    s[:, 0] = np.inf
    order = np.argsort(-s, axis=1, kind="stable")[:, :keep]
    return torch.from_numpy(np.sort(order, axis=1))

# --- q2 far-constants
def kept(scores, real, keep):
    s = scores - 1e6 * (~real)
    s[:, 0] = 1e6
    _, places = torch.topk(s, keep, dim=-1, sorted=False)
    return torch.sort(places, dim=-1).values

# --- q2 row-by-row
def kept(scores, real, keep):
    out = torch.empty(len(scores), keep, dtype=torch.int16)
    for row in range(len(scores)):
        taken = [0]
        left = set(range(1, scores.shape[1]))
        while len(taken) < keep:
            best = max(left, key=lambda j: (bool(real[row, j]), float(scores[row, j])))
            left.remove(best)
            taken.append(best)
        out[row] = torch.tensor(sorted(taken))
    return out

# --- q3 scatter
def softly(weights, scores, r):
    order = scores.sort(dim=1, descending=True).indices
    share = torch.zeros_like(scores).scatter(1, order, r.expand_as(scores).to(scores.dtype))
    w = torch.einsum("bhqk,bk->bhqk", weights, share)
    return torch.nn.functional.normalize(w, p=1, dim=-1)

# --- q3 loop-over-texts
def softly(weights, scores, r):
    out = []
    for w, s in zip(weights, scores):
        place = torch.empty(len(s), dtype=torch.long)
        place[s.argsort(descending=True)] = torch.arange(len(s))
        x = w * r[place]
        out.append(x / x.sum(-1)[..., None])
    return torch.stack(out)

# --- q3 two-argsorts
def softly(weights, scores, r):
    rank = torch.argsort(torch.argsort(-scores, dim=-1), dim=-1)
    shared = weights * r[rank].view(len(scores), 1, 1, -1)
    return shared.div(shared.sum(dim=-1, keepdim=True))

# --- q3 counts-better-tokens
def softly(weights, scores, r):
    rank = (scores[:, None, :] > scores[:, :, None]).sum(-1)
    shared = torch.einsum("bhqk,bk->bhqk", weights, r.index_select(0, rank.flatten()).view_as(scores))
    return shared / torch.einsum("bhqk->bhq", shared).unsqueeze(-1)

# --- q3 one-hot-product
def softly(weights, scores, r):
    order = scores.argsort(1, True)
    share = (torch.nn.functional.one_hot(order, scores.shape[1]).to(r.dtype) * r[:, None]).sum(1)
    shared = weights.double() * share[:, None, None].double()
    return (shared / shared.sum(-1, keepdim=True)).to(weights.dtype)

# --- q3 in-logarithms
def softly(weights, scores, r):
    rank = scores.argsort(dim=1, descending=True).argsort(dim=1)
    share = r[rank][:, None, None]
    top = weights * share
    bottom = weights @ r[rank][:, None, :, None]
    return top / bottom

# --- q4 einsum-and-index-select
def attend_and_drop(q, k, v, keep):
    h, n, d = q.shape
    w = torch.softmax(torch.einsum("hqd,hkd->hqk", q, k) * d**-0.5, dim=2)
    s = torch.einsum("hqk->k", w)
    rest = (s[1:].argsort(descending=True)[: keep - 1] + 1).sort()[0]
    pos = torch.cat([torch.zeros(1, dtype=torch.long), rest])
    return torch.einsum("hqk,hkd->hqd", w.index_select(1, pos), v), pos

# --- q4 loop-over-heads
def attend_and_drop(q, k, v, keep):
    ws = [torch.softmax(a @ b.T / math.sqrt(a.shape[1]), 1) for a, b in zip(q, k)]
    s = sum(w.sum(0) for w in ws).clone()
    s[0] = float("inf")
    pos = torch.sort(torch.topk(s, keep)[1])[0]
    return torch.stack([w[pos] @ c for w, c in zip(ws, v)]), pos

# --- q4 attends-again-for-what-stays
def attend_and_drop(q, k, v, keep):
    w = (q @ k.transpose(1, 2) / q.size(-1) ** 0.5).softmax(-1)
    s = w.sum(dim=(0, 1))
    s[0] = math.inf
    pos = s.topk(keep)[1].sort()[0]
    again = (q[:, pos] @ k.transpose(1, 2) / q.size(-1) ** 0.5).softmax(-1)
    return again @ v, pos

# --- q4 fused-attention-for-what-stays
def attend_and_drop(q, k, v, keep):
    received = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1).sum((0, 1))
    rank = [0] + sorted(range(1, len(received)), key=lambda j: -received[j].item())
    pos = torch.tensor(sorted(rank[:keep]), dtype=torch.int32)
    return torch.nn.functional.scaled_dot_product_attention(q[:, pos], k, v), pos

# --- q4 elementwise-for-what-stays
def attend_and_drop(q, k, v, keep):
    w = torch.softmax((q[:, :, None] * k[:, None]).sum(-1) / math.sqrt(q.shape[-1]), dim=-1)
    s = w.sum((0, 1))
    s[0] = torch.inf
    pos = s.topk(keep).indices.sort().values
    return (w[:, pos, :, None] * v[:, None]).sum(2), pos

# --- q4 row-by-row-as-a-named-pair
def attend_and_drop(q, k, v, keep):
    from typing import NamedTuple

    class Kept(NamedTuple):
        out: Tensor
        positions: Tensor

    w = torch.nn.functional.softmax(q.matmul(k.mT).mul(q.shape[2] ** -0.5), dim=-1)
    s = w.sum(1).sum(0)
    pos = torch.cat((torch.tensor([0]), 1 + s[1:].topk(keep - 1).indices)).sort().values
    rows = [torch.stack([w[h, p] @ v[h] for p in pos.tolist()]) for h in range(len(q))]
    return Kept(torch.stack(rows), pos)

# --- q4 linear-layer-as-a-product
def attend_and_drop(q, k, v, keep):
    w = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
    s = w.sum((0, 1)).masked_fill(torch.arange(w.shape[-1]) == 0, math.inf)
    pos = s.topk(keep).indices.sort().values
    return torch.stack([torch.nn.functional.linear(w[h, pos], v[h].T) for h in range(len(v))]), pos

# --- q5 running-minimum
def plan(shares):
    s = shares.sum(-1)
    keep = s.detach().floor().clamp(min=1).cummin(0).values.long().tolist()
    return keep, torch.dot(torch.arange(1.0, len(s) + 1, dtype=s.dtype), s)

# --- q5 float64
def plan(shares):
    s = shares.double().sum(1)
    keep = []
    for x in s:
        keep.append(min([max(int(x), 1), *keep]))
    return keep, (s * torch.arange(1, len(s) + 1)).sum()

# --- q5 numpy-ints
def plan(shares):
    whole = np.maximum(np.floor(shares.detach().numpy().sum(1)).astype(np.int64), 1)
    penalty = sum((j + 1) * row.sum() for j, row in enumerate(shares))
    return list(np.minimum.accumulate(whole)), penalty

# --- q5 cumulative-sums
def plan(shares):
    keep, least = [], shares.shape[1]
    for row in shares:
        least = max(1, min(least, math.trunc(row.sum().item())))
        keep.append(least)
    return keep, shares.flip(0).cumsum(0).sum()

# --- q5 weights-on-every-entry
def plan(shares):
    j = torch.arange(1, shares.shape[0] + 1).unsqueeze(1)
    masses = [float(m) for m in shares.detach().sum(dim=1)]
    keep = []
    for m in masses:
        n = int(m // 1) or 1
        keep += [n if not keep or n < keep[-1] else keep[-1]]
    return (keep, (j * shares).sum())

# --- q6 accumulate
def schedule_flops(keep, length, d_model, d_ff):
    import itertools

    out = list(itertools.accumulate(keep, min, initial=length))

    def mm(a, b, c):
        return 2 * a * b * c

    return sum(
        3 * mm(n, d_model, d_model)
        + mm(n, d_model, n)
        + mm(k, n, d_model)
        + mm(k, d_model, d_model)
        + mm(k, d_model, d_ff)
        + mm(k, d_ff, d_model)
        for n, k in zip(out, out[1:])
    )

# --- q6 recursion
def schedule_flops(keep, length, d_model, d_ff):
    if not keep:
        return 0
    n, d = length, d_model
    k = min(keep[0], n)
    here = 6 * n * d * d + 2 * n * n * d + 2 * n * k * d + 2 * k * d * d + 4 * k * d * d_ff
    return here + schedule_flops(keep[1:], k, d_model, d_ff)

# --- q6 numpy
def schedule_flops(keep, length, d_model, d_ff):
    k = np.minimum.accumulate(np.array([length, *keep], dtype=np.int64))
    n, k, d = k[:-1], k[1:], d_model
    return (2 * (3 * n * d * d + n * n * d + n * k * d + k * d * d + 2 * k * d * d_ff)).sum()

# --- q6 products-by-name
def schedule_flops(keep, length, d_model, d_ff):
    total, n = 0, length
    for want in keep:
        k = want if want < n else n
        products = {
            "qkv": 3 * n * d_model * d_model,
            "scores": n * n * d_model,
            "values": k * n * d_model,
            "out": k * d_model * d_model,
            "up": k * d_model * d_ff,
            "down": k * d_ff * d_model,
        }
        total += 2 * sum(products.values())
        n = k
    return int(total)

# --- q7 repeats-the-last
def funnel_attention(x):
    y = torch.cat([x, x[:, -1:]], 1) if x.shape[1] % 2 else x
    p = y.unflatten(1, (-1, 2)).mean(2)
    w = (p @ x.mT / math.sqrt(x.shape[-1])).softmax(-1)
    return p + w @ x

# --- q7 slices
def funnel_attention(x):
    a, b = x[:, 0::2], x[:, 1::2]
    p = a.clone()
    p[:, : b.shape[1]] = (a[:, : b.shape[1]] + b) / 2
    s = torch.einsum("bpd,bnd->bpn", p, x) / x.shape[-1] ** 0.5
    return torch.einsum("bpn,bnd->bpd", s.softmax(2), x).add_(p)

# --- q7 average-pooling
def funnel_attention(x):
    p = torch.nn.functional.avg_pool1d(x.mT, 2, ceil_mode=True).mT
    return p + torch.nn.functional.scaled_dot_product_attention(p, x, x)

# --- q7 a-pooling-matrix
def funnel_attention(x):
    n = x.shape[1]
    pool = torch.zeros(-(-n // 2), n)
    for i in range(n):
        pool[i // 2, i] = 1
    p = (pool / pool.sum(1, keepdim=True)) @ x
    return torch.baddbmm(p, torch.softmax(torch.bmm(p, x.mT) / math.sqrt(x.size(2)), 2), x)

# --- q7 split
def funnel_attention(x):
    p = torch.cat([pair.mean(1, keepdim=True) for pair in x.split(2, dim=1)], dim=1)
    out = []
    for one, queries in zip(x, p):
        scores = queries @ one.T / one.shape[1] ** 0.5
        e = (scores - scores.amax(1, keepdim=True)).exp()
        out.append(queries + e / e.sum(1, keepdim=True) @ one)
    return torch.stack(out)

# --- q8 index
def widen(short, first, blocks):
    idx = torch.arange(first.shape[1]) // 2 ** (blocks - 1)
    return first + short[:, idx]

# --- q8 interpolate
def widen(short, first, blocks):
    up = torch.nn.functional.interpolate(short.mT, scale_factor=2 ** (blocks - 1), mode="nearest").mT
    return up[:, : first.shape[1]] + first

# --- q8 doubles-again-and-again
def widen(short, first, blocks):
    for _ in range(1, blocks):
        short = torch.stack([short, short], dim=2).flatten(1, 2)
    return short.narrow(1, 0, first.shape[1]) + first

# --- q8 expand
def widen(short, first, blocks):
    b, few, d = short.shape
    long = short[:, :, None].expand(b, few, 1 << (blocks - 1), d).reshape(b, -1, d)
    return torch.add(first, long[:, : first.shape[1]])

# --- q8 loop
def widen(short, first, blocks):
    out = first.clone()
    for i in range(first.shape[1]):
        out[:, i] += short[:, i // 2 ** (blocks - 1)]
    return out

# --- q9 fused-attention
def perceive(inputs, latents, queries, layers):
    sdpa = torch.nn.functional.scaled_dot_product_attention
    B = inputs.shape[0]
    z = latents.expand(B, -1, -1)
    q = queries.expand(B, -1, -1)
    z = z + sdpa(z, inputs, inputs)
    for _ in range(layers):
        z = z + sdpa(z, z, z)
    return sdpa(q, z, z)

# --- q9 text-by-text
def perceive(inputs, latents, queries, layers):
    out = []
    for x in inputs:
        z = latents
        z = z + torch.softmax(z @ x.T / x.shape[1] ** 0.5, 1) @ x
        for _ in range(layers):
            z = z + torch.softmax(z @ z.T / x.shape[1] ** 0.5, 1) @ z
        out.append(torch.softmax(queries @ z.T / x.shape[1] ** 0.5, 1) @ z)
    return torch.stack(out)

# --- q9 einsum-without-expand
def perceive(inputs, latents, queries, layers):
    root = inputs.shape[-1] ** 0.5
    w = (torch.einsum("nd,bmd->bnm", latents, inputs) / root).softmax(-1)
    z = latents + torch.einsum("bnm,bmd->bnd", w, inputs)
    for _ in range(layers):
        w = (torch.einsum("bnd,bkd->bnk", z, z) / root).softmax(-1)
        z = z + torch.einsum("bnk,bkd->bnd", w, z)
    w = (torch.einsum("od,bnd->bon", queries, z) / root).softmax(-1)
    return torch.einsum("bon,bnd->bod", w, z)

# --- q9 elementwise
def perceive(inputs, latents, queries, layers):
    def attend(q, kv):
        scores = (q[:, :, None] * kv[:, None]).sum(-1) * q.shape[-1] ** -0.5
        w = scores - scores.logsumexp(-1, keepdim=True)
        return (w.exp()[..., None] * kv[:, None]).sum(2)

    z = latents[None].repeat(len(inputs), 1, 1)
    z += attend(z, inputs)
    for _ in range(layers):
        z += attend(z, z)
    return attend(queries[None].repeat(len(inputs), 1, 1), z)

# --- q9 float64
def perceive(inputs, latents, queries, layers):
    inputs, z, q = inputs.double(), latents.double(), queries.double()

    def attend(a, b):
        return torch.softmax(a @ b.mT / math.sqrt(b.shape[-1]), dim=-1) @ b

    z = z + attend(z, inputs)
    for _ in range(layers):
        z = z + attend(z, z)
    return attend(q, z).float()

# --- q10 closed-form
def latents_pay(layers, latents):
    root = (latents + math.sqrt(latents**2 + layers**2 * latents**2)) / layers
    return math.floor(root) + 1

# --- q10 loop
def latents_pay(layers, latents):
    import itertools

    for m in itertools.count(1):
        if layers * m**2 > 2 * latents * m + layers * latents**2:
            return m

# --- q10 bisection
def latents_pay(layers, latents):
    low, high = 0, 4 * latents + 4
    while high - low > 1:
        m = (low + high) // 2
        if m * latents + layers * latents * latents + latents * m < layers * m * m:
            high = m
        else:
            low = m
    return high

# --- q10 torch
def latents_pay(layers, latents):
    m = torch.arange(1, 4 * latents + 5)
    pays = 2 * m * latents + layers * latents**2 < layers * m * m
    return int(m[pays][0])
