"""Right answers to lab 3, in many styles: `# --- qN name` begins an answer to question N."""

# ruff: noqa


# --- q1 cat-argmax
def angular_hash(x, directions):
    p = x @ directions
    return torch.cat((p, -p), -1).argmax(-1)


# --- q1 int32
def angular_hash(x, directions):
    both = torch.cat([directions, -directions], dim=1)
    return torch.topk(x @ both, 1, dim=1).indices.squeeze(1)


# --- q2 stable-argsort
def sort_by_bucket(buckets):
    order = torch.argsort(buckets, stable=True)
    return order, order.argsort()


# --- q2 python-sorted-list
def sort_by_bucket(buckets):
    b = buckets.tolist()
    o = sorted(range(len(b)), key=lambda i: (b[i], i))
    p = [0] * len(b)
    for s, t in enumerate(o):
        p[t] = s
    return torch.tensor(o), torch.tensor(p)


# --- q2 counting
def sort_by_bucket(buckets):
    n = len(buckets)
    i = torch.arange(n)
    before = (buckets[None, :] < buckets[:, None]) | (
        (buckets[None, :] == buckets[:, None]) & (i[None, :] < i[:, None])
    )
    place = before.sum(1)
    order = torch.empty(n, dtype=torch.long)
    order[place] = i
    return order, place


# --- q3 loops
def seen_in_round(place, chunk, causal):
    n = len(place)
    p = place.tolist()
    m = torch.zeros(n, n, dtype=torch.bool)
    for i in range(n):
        for j in range(n):
            if i == j or (causal and j > i):
                continue
            m[i, j] = p[i] // chunk - p[j] // chunk in (0, 1)
        if not m[i].any():
            m[i, i] = True
    return m


# --- q4 plain
def shared_attention(qk, v, seen):
    k = qk / qk.norm(dim=-1, keepdim=True)
    s = (qk @ k.T).masked_fill(~seen, -torch.inf)
    return s.softmax(-1) @ v, s.logsumexp(-1)


# --- q4 out-from-logs
def shared_attention(qk, v, seen):
    s = qk.double() @ F.normalize(qk.double(), dim=-1).mT
    s[~seen] = -float("inf")
    logs = torch.logsumexp(s, 1)
    return (torch.exp(s - logs[:, None]) @ v.double()).float(), logs.float()


# --- q4 loop
def shared_attention(qk, v, seen):
    out, logs = torch.zeros(len(qk), v.shape[1]), torch.zeros(len(qk))
    for i in range(len(qk)):
        js = seen[i].nonzero()[:, 0]
        s = (qk[i] * qk[js] / qk[js].norm(dim=1, keepdim=True)).sum(1)
        logs[i] = s.logsumexp(0)
        out[i] = s.softmax(0) @ v[js]
    return out, logs


# --- q5 running-logaddexp
def join_rounds(outs, logs):
    out, z = outs[0], logs[0]
    for o, l in zip(outs[1:], logs[1:]):
        new = torch.logaddexp(z, l)
        out = out * (z - new).exp()[:, None] + o * (l - new).exp()[:, None]
        z = new
    return out, z


# --- q6 logs
def sinkhorn(scores, temperature, n_iterations):
    if temperature <= 0:
        raise ValueError("temperature must be above 0")
    l = scores / temperature
    for _ in range(n_iterations):
        l = l - torch.logsumexp(l, 1, keepdim=True)
        l = l - torch.logsumexp(l, 0, keepdim=True)
    return l.exp()


# --- q6 potentials
def sinkhorn(scores, temperature, n_iterations):
    if temperature <= 0:
        raise ValueError("temperature must be above 0")
    l = scores / temperature
    f, g = torch.zeros(len(l)), torch.zeros(len(l))
    for _ in range(n_iterations):
        f = -(l + g[None, :]).logsumexp(1)
        g = -(l + f[:, None]).logsumexp(0)
    return (l + f[:, None] + g[None, :]).exp()


# --- q7 tril
def fetch_earlier(scores, blocks):
    n = len(scores)
    w = scores.masked_fill(~torch.ones(n, n).tril(-1).bool(), -torch.inf).softmax(-1)
    w = torch.nan_to_num(w)
    return torch.einsum("ij,jsw->isw", w, blocks)


# --- q7 cat-zero
def fetch_earlier(scores, blocks):
    n, s, w = blocks.shape
    rows = [blocks.new_zeros(s * w)]
    flat = blocks.reshape(n, -1)
    for i in range(1, n):
        rows.append(torch.softmax(scores[i, :i], -1) @ flat[:i])
    return torch.stack(rows).view(n, s, w)


# --- q8 reversed
def reverse(y1, y2, layers):
    for f, g in reversed(layers):
        x2 = y2 - g(y1)
        x1 = y1 - f(x2)
        y1, y2 = x1, x2
    return y1, y2


# --- q8 inplace-clones
def reverse(y1, y2, layers):
    a, b = y1.clone(), y2.clone()
    for f, g in layers[::-1]:
        b -= g(a)
        a -= f(b)
    return a, b


# --- q1 one-product-of-both
def angular_hash(x, directions):
    return torch.einsum("td,dh->th", x, torch.hstack([directions, -directions])).max(dim=1)[1]


# --- q1 largest-size-then-sign
def angular_hash(x, directions):
    p = x @ directions
    column = p.abs().argmax(1)
    sign = p.gather(1, column[:, None])[:, 0]
    return torch.where(sign < 0, column + p.size(1), column)


# --- q1 token-by-token
def angular_hash(x, directions):
    half = directions.shape[1]
    out = []
    for vector in x:
        scores = [float(vector @ directions[:, c]) for c in range(half)]
        scores += [-s for s in scores]
        out.append(scores.index(max(scores)))
    return torch.tensor(out, dtype=torch.int32)


# --- q1 numpy
def angular_hash(x, directions):
    import numpy as np

    p = x.numpy() @ directions.numpy()
    return torch.from_numpy(np.concatenate([p, -p], axis=1).argmax(axis=1))


# --- q2 scatter
def sort_by_bucket(buckets):
    _, order = torch.sort(buckets, stable=True)
    place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
    return order, place


# --- q2 unique-keys
def sort_by_bucket(buckets):
    n = buckets.numel()
    key = buckets.long() * n + torch.arange(n)
    order = key.sort()[1]
    place = torch.zeros(n, dtype=torch.long)
    place[order] = torch.arange(n)
    return order.int(), place.int()


# --- q2 numpy-lexsort
def sort_by_bucket(buckets):
    import numpy as np

    b = buckets.numpy()
    order = np.lexsort((np.arange(len(b)), b))
    return [torch.from_numpy(order), torch.from_numpy(np.argsort(order))]


# --- q3 shifted-chunks
def seen_in_round(place, chunk, causal):
    c = torch.div(place, chunk, rounding_mode="floor")
    same, before = torch.eq(c[:, None], c[None]), torch.eq(c[:, None], c[None] + 1)
    m = torch.logical_or(same, before)
    i = torch.arange(len(place))
    m &= (i[None] < i[:, None]) if causal else (i[None] != i[:, None])
    lonely = m.sum(1) == 0
    m[lonely, lonely] = True
    return m


# --- q3 sort-then-blocks
def seen_in_round(place, chunk, causal):
    n = len(place)
    order = place.argsort()
    m = torch.zeros(n, n, dtype=torch.bool)
    for s in range(0, n, chunk):
        mine, both = order[s : s + chunk], order[max(s - chunk, 0) : s + chunk]
        m[mine[:, None], both[None, :]] = True
    if causal:
        m = torch.tril(m, diagonal=-1)
    m = m.fill_diagonal_(False)
    m.diagonal().copy_(~m.any(dim=1))
    return m


# --- q3 sets
def seen_in_round(place, chunk, causal):
    spots = [int(p) // chunk for p in place]
    members = {}
    for token, spot in enumerate(spots):
        members.setdefault(spot, set()).add(token)
    rows = []
    for token, spot in enumerate(spots):
        near = members[spot] | members.get(spot - 1, set())
        near = {t for t in near if t < token} if causal else near - {token}
        near = near or {token}
        rows.append([t in near for t in range(len(spots))])
    return torch.tensor(rows)


# --- q3 numbers-not-booleans
def seen_in_round(place, chunk, causal):
    c = (place // chunk).float()
    d = c.unsqueeze(1) - c.unsqueeze(0)
    m = ((d >= 0) * (d < 1.5)).float()
    m = m.tril() if causal else m
    m = m - torch.diag(m.diag())
    return (m + torch.diag((m.sum(1) == 0).float())) > 0


# --- q4 by-hand-with-maximum
def shared_attention(qk, v, seen):
    scores = torch.einsum("id,jd->ij", qk, qk / qk.square().sum(1, keepdim=True).sqrt())
    scores = torch.where(seen, scores, torch.full_like(scores, float("-inf")))
    top = scores.max(dim=1, keepdim=True).values
    e = torch.exp(scores - top)
    z = e.sum(1, keepdim=True)
    return e @ v / z, (z.log() + top)[:, 0]


# --- q4 torchs-own-attention
def shared_attention(qk, v, seen):
    key = F.normalize(qk, dim=1)
    out = F.scaled_dot_product_attention(qk[None], key[None], v[None], attn_mask=seen, scale=1.0)
    return [out[0], (qk @ key.mT).masked_fill(seen.logical_not(), -torch.inf).logsumexp(1)]


# --- q5 softmax-einsum
def join_rounds(outs, logs):
    total = torch.logsumexp(logs, dim=0)
    return torch.einsum("rt,rtw->tw", (logs - total).exp(), outs), total


# --- q5 maximum-by-hand
def join_rounds(outs, logs):
    top = logs.max(0).values
    weight = torch.exp(logs - top)
    z = weight.sum(0)
    out = (weight.unsqueeze(-1) * outs).sum(0) / z.unsqueeze(-1)
    return out, top + z.log()


# --- q5 token-by-token
def join_rounds(outs, logs):
    rounds, tokens, width = outs.shape
    out, total = torch.zeros(tokens, width), torch.zeros(tokens)
    for t in range(tokens):
        z = logs[:, t].double()
        share = torch.softmax(z, 0)
        for r in range(rounds):
            out[t] += (share[r] * outs[r, t]).float()
        total[t] = torch.logsumexp(z, 0)
    return out, total


# --- q5 batched-product
def join_rounds(outs, logs):
    shares = F.softmax(logs.T, dim=1)  # tokens, rounds
    out = torch.bmm(shares[:, None], outs.transpose(0, 1))[:, 0]
    return (out, logs.T.logsumexp(dim=1))


# --- q6 log-softmax
def sinkhorn(scores, temperature, n_iterations):
    if not temperature > 0:
        raise ValueError(f"the temperature is {temperature}")
    logs = scores.div(temperature)
    for _ in range(n_iterations):
        logs = F.log_softmax(F.log_softmax(logs, dim=1), dim=0)
    return torch.exp(logs)


# --- q6 maxima-by-hand
def sinkhorn(scores, temperature, n_iterations):
    if temperature <= 0:
        raise ValueError("not above 0")

    def less_its_sum(x, axis):
        top = x.amax(axis, keepdim=True)
        return x - top - (x - top).exp().sum(axis, keepdim=True).log()

    x = scores.double() / temperature
    for step in range(2 * n_iterations):
        x = less_its_sum(x, 1 - step % 2)
    return x.exp().float()


# --- q6 recursion
def sinkhorn(scores, temperature, n_iterations):
    if temperature <= 0:
        raise ValueError("temperature")

    def go(x, left):
        if left == 0:
            return x
        x = x - torch.logsumexp(x, dim=-1)[:, None]
        return go(x - torch.logsumexp(x, dim=-2)[None, :], left - 1)

    return go(scores / temperature, n_iterations).exp()


# --- q7 triangle-indices
def fetch_earlier(scores, blocks):
    n = scores.shape[0]
    i = torch.arange(n)
    s = torch.where(i[None, :] < i[:, None], scores, torch.tensor(-torch.inf))
    s[0] = 0.0
    w = torch.softmax(s, dim=1)
    w[0] = 0.0
    return torch.tensordot(w, blocks, dims=1)


# --- q7 by-hand-with-safe-sums
def fetch_earlier(scores, blocks):
    later = torch.ones_like(scores).triu().bool()
    hidden = scores.masked_fill(later, float("-inf"))
    top = hidden.amax(-1, keepdim=True)
    e = torch.exp(hidden - torch.where(top.isinf(), torch.zeros_like(top), top))
    z = e.sum(-1, keepdim=True)
    w = e / torch.where(z == 0, torch.ones_like(z), z)
    return (w @ blocks.flatten(1)).unflatten(1, blocks.shape[1:])


# --- q7 block-by-block
def fetch_earlier(scores, blocks):
    out = torch.zeros_like(blocks)
    for i in range(1, len(blocks)):
        shares = F.softmax(scores[i, :i], dim=0).reshape(-1, 1, 1)
        out[i] = torch.sum(shares * blocks[:i], 0)
    return out


# --- q8 from-the-end-by-number
def reverse(y1, y2, layers):
    for n in range(len(layers) - 1, -1, -1):
        f, g = layers[n]
        y2 = y2 - g(y1)
        y1 = y1 - f(y2)
    return [y1, y2]


# --- q8 recursion
def reverse(y1, y2, layers):
    if not layers:
        return y1, y2
    *before, (f, g) = layers
    x2 = torch.sub(y2, g(y1))
    return reverse(y1 - f(x2), x2, before)


# --- q8 pops-a-copy
def reverse(y1, y2, layers):
    left, state = list(layers), {"one": y1, "two": y2}
    while left:
        f, g = left.pop()
        state["two"] = state["two"] - g(state["one"])
        state["one"] = state["one"] - f(state["two"])
    return state["one"], state["two"]


# --- q4 a-finite-floor
def shared_attention(qk, v, seen):
    s = qk @ F.normalize(qk, dim=1).t()
    s = s.masked_fill(~seen, torch.finfo(s.dtype).min)
    logs = torch.logsumexp(s, 1)
    return torch.exp(s - logs[:, None]) @ v, logs


# --- q7 adds-minus-infinity
def fetch_earlier(scores, blocks):
    later = torch.triu(torch.full_like(scores, float("-inf")))
    shares = torch.nan_to_num(torch.softmax(scores + later, -1))
    return (shares @ blocks.flatten(1)).view_as(blocks)
