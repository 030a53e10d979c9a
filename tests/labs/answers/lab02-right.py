"""Right answers to lab 2, in many styles: `# --- qN name` begins an answer to question N."""

# ruff: noqa


# --- q1 abs
def window_mask(length, window, causal):
    i = torch.arange(length)
    d = i[:, None] - i[None, :]
    m = d.abs() <= window
    return m & (d >= 0) if causal else m


# --- q1 python-lists
def window_mask(length, window, causal):
    m = torch.zeros(length, length, dtype=torch.bool)
    for i in range(length):
        m[i, max(0, i - window) : (i + 1 if causal else i + window + 1)] = True
    return m


# --- q1 tril-triu
def window_mask(length, window, causal):
    ones = torch.ones(length, length, dtype=torch.bool)
    return ones.triu(-window).tril(0 if causal else window)


# --- q1 numpy
def window_mask(length, window, causal):
    import numpy as np

    i, j = np.indices((length, length))
    m = np.abs(i - j) <= window
    if causal:
        m = np.logical_and(m, j <= i)
    return torch.from_numpy(m)


# --- q1 list-comprehension
def window_mask(length, window, causal):
    return torch.tensor(
        [
            [(0 <= i - j <= window) if causal else abs(i - j) <= window for j in range(length)]
            for i in range(length)
        ]
    )


# --- q1 int32-positions
def window_mask(length, window, causal):
    p = torch.arange(length, dtype=torch.int32)
    d = p.unsqueeze(1).sub(p)
    return (d <= window).logical_and(d >= (0 if causal else -window))


# --- q1 padding-a-roll
def window_mask(length, window, causal):
    m = torch.zeros(length, length, dtype=torch.bool)
    for s in range(-window if not causal else 0, window + 1):
        d = length - abs(s)
        if d > 0:
            m.diagonal(-s).fill_(True)
    return m


# --- q2 loops-match
def sparse_mask(length, kind, stride, summary):
    m = torch.zeros(length, length, dtype=torch.bool)
    for i in range(length):
        for j in range(i + 1):
            if kind == "strided":
                m[i, j] = (i - j) <= stride or (i - j) % stride == 0
            elif kind == "fixed":
                m[i, j] = i // stride == j // stride or any(
                    j % stride == stride - 1 - t for t in range(summary)
                )
            else:
                raise ValueError(kind)
    return m


# --- q2 match-and-sets
def sparse_mask(length, kind, stride, summary):
    m = torch.full((length, length), False)
    for i in range(length):
        if kind == "strided":
            keys = set(range(max(0, i - stride), i + 1)) | set(range(i, -1, -stride))
        else:
            block = i // stride
            keys = set(range(block * stride, i + 1))
            for b in range(block + 1):
                keys |= {
                    j for j in range(b * stride + stride - summary, b * stride + stride) if j <= i
                }
        m[i, sorted(keys)] = True
    return m


# --- q2 numpy
def sparse_mask(length, kind, stride, summary):
    import numpy as np

    i, j = np.ogrid[:length, :length]
    if kind == "strided":
        m = (i - j <= stride) | (np.mod(i - j, stride) == 0)
    else:
        m = (i // stride == j // stride) | (np.mod(j, stride) > stride - summary - 1)
    return torch.as_tensor(m & (j <= i))


# --- q2 remainders
def sparse_mask(length, kind, stride, summary):
    p = torch.arange(length)
    d = p.view(-1, 1) - p.view(1, -1)
    causal = d.ge(0)
    strided = d.le(stride) | d.remainder(stride).eq(0)
    block = torch.div(p, stride, rounding_mode="floor")
    fixed = block.view(-1, 1).eq(block) | p.remainder(stride).ge(stride - summary)
    return causal & {"strided": strided, "fixed": fixed}[kind]


# --- q3 indicator
def add_global(mask, tokens):
    g = torch.zeros(mask.shape[0], dtype=torch.bool)
    g[torch.tensor(tokens, dtype=torch.long)] = True
    return mask | g[:, None] | g[None, :]


# --- q3 index-put-on-a-copy
def add_global(mask, tokens):
    new = mask.clone()
    new[tokens, :] = True
    new[:, tokens] = True
    return new


# --- q3 numpy
def add_global(mask, tokens):
    m = mask.numpy().copy()
    for t in tokens:
        m[t, :] = m[:, t] = True
    return torch.from_numpy(m)


# --- q3 isin
def add_global(mask, tokens):
    i = torch.arange(len(mask))
    g = torch.isin(i, torch.tensor(tokens, dtype=torch.int64))
    return torch.where(g[:, None] | g, torch.ones_like(mask), mask)


# --- q3 one-hot
def add_global(mask, tokens):
    n = mask.shape[0]
    g = torch.zeros(n).scatter_(0, torch.tensor(tokens).long(), 1.0)
    return (mask.float() + g.view(n, 1) + g.view(1, n)) > 0


# --- q4 repeated-product
def layers_needed(mask):
    n = len(mask)
    known = torch.eye(n, dtype=torch.bool)
    layers = 0
    while not known.all():
        new = known | ((mask.float() @ known.float()) > 0)
        if torch.equal(new, known):
            return None
        known, layers = new, layers + 1
    return layers


# --- q4 at-most-n-steps
def layers_needed(mask):
    n = mask.shape[0]
    step = (mask | torch.eye(n).bool()).double()
    reach = torch.eye(n).double()
    for layers in range(n):
        if (reach > 0).all():
            return layers
        reach = ((step @ reach) > 0).double()
    return None


# --- q4 breadth-first
def layers_needed(mask):
    n = len(mask)
    seen_by = [set(mask[i].nonzero().flatten().tolist()) | {i} for i in range(n)]
    worst = 0
    for i in range(n):
        level, heard = 0, {i}
        while len(heard) < n:
            more = set().union(*(seen_by[j] for j in heard))
            if more == heard:
                return None
            heard, level = more, level + 1
        worst = max(worst, level)
    return worst


# --- q4 floyd-warshall
def layers_needed(mask):
    n = len(mask)
    d = torch.where(mask, 1.0, math.inf)
    d.fill_diagonal_(0)
    for k in range(n):
        d = torch.minimum(d, d[:, k : k + 1] + d[k : k + 1])
    return None if d.max() == math.inf else int(d.max())


# --- q4 numpy-powers
def layers_needed(mask):
    import numpy as np

    n = mask.shape[0]
    step = (mask.numpy() | np.eye(n, dtype=bool)).astype(np.int64)
    reach = np.eye(n, dtype=np.int64)
    for layers in range(n):
        if reach.all():
            return np.int64(layers)
        reach = np.minimum(reach @ step, 1)
    return None


# --- q4 recursive
def layers_needed(mask):
    def go(known, layers):
        if known.all():
            return layers
        after = torch.logical_or(known, torch.matmul(mask.double(), known.double()) > 0)
        return None if (after == known).all() else go(after, layers + 1)

    return go(torch.eye(len(mask)) > 0, 0)


# --- q4 tensor-count
def layers_needed(mask):
    a = mask.int() + torch.eye(len(mask), dtype=torch.int32)
    r = torch.eye(len(mask), dtype=torch.int32)
    count = torch.tensor(0)
    for _ in range(len(mask) + 1):
        if bool((r > 0).all()):
            return count
        r = (a @ r).clamp(max=1)
        count = count + 1
    return None


# --- q5 sum
def pattern_flops(mask, head_dim):
    return 4 * head_dim * int(mask.sum())


# --- q5 count-nonzero
def pattern_flops(mask, head_dim):
    return 2 * 2 * head_dim * torch.count_nonzero(mask).item()


# --- q5 numpy-int
def pattern_flops(mask, head_dim):
    import numpy as np

    return np.int64(4) * np.count_nonzero(mask.numpy()) * head_dim


# --- q5 loop
def pattern_flops(mask, head_dim):
    total = 0
    for row in mask.tolist():
        for seen in row:
            if seen:
                total += 2 * head_dim + 2 * head_dim
    return total


# --- q5 a-tensor
def pattern_flops(mask, head_dim):
    return mask.long().sum() * 4 * head_dim


# --- q6 pad-unfold
def window_attention(q, k, v, window):
    b, h, n, d = q.shape
    w = window
    blk = max(w, 32)
    m = -(-n // blk) * blk
    qp = F.pad(q, (0, 0, 0, m - n)).unflatten(2, (-1, blk))
    kp = F.pad(k, (0, 0, w, w + m - n)).unfold(2, blk + 2 * w, blk).mT
    vp = F.pad(v, (0, 0, w, w + m - n)).unfold(2, blk + 2 * w, blk).mT
    pos = torch.arange(n)
    kpos = F.pad(pos, (w, w + m - n), value=-1).unfold(0, blk + 2 * w, blk)
    qpos = torch.arange(m).view(-1, blk)
    mask = (kpos[:, None, :] >= 0) & ((kpos[:, None, :] - qpos[:, :, None]).abs() <= w)
    out = F.scaled_dot_product_attention(qp, kp, vp, attn_mask=mask)
    return out.flatten(2, 3)[:, :, :n]


# --- q6 slices-handwritten-softmax
def window_attention(q, k, v, window):
    n, blk = q.shape[2], 128
    out = torch.empty(*q.shape[:3], v.shape[-1], dtype=q.dtype)
    for s in range(0, n, blk):
        e = min(s + blk, n)
        lo, hi = max(0, s - window), min(n, e + window)
        sc = q[:, :, s:e] @ k[:, :, lo:hi].mT / math.sqrt(q.shape[-1])
        m = (torch.arange(s, e)[:, None] - torch.arange(lo, hi)).abs() > window
        out[:, :, s:e] = sc.masked_fill_(m, -math.inf).softmax(-1) @ v[:, :, lo:hi]
    return out


# --- q6 blocks-of-queries-with-slices
def window_attention(q, k, v, window):
    n = q.shape[2]
    size = 128
    parts = []
    for a in range(0, n, size):
        b = min(n, a + size)
        lo, hi = max(0, a - window), min(n, b + window)
        near = (torch.arange(a, b).view(-1, 1) - torch.arange(lo, hi).view(1, -1)).abs() <= window
        parts.append(
            F.scaled_dot_product_attention(
                q[:, :, a:b], k[:, :, lo:hi], v[:, :, lo:hi], attn_mask=near
            )
        )
    return torch.cat(parts, dim=2)


# --- q6 einsum-and-own-softmax
def window_attention(q, k, v, window):
    b, h, n, d = q.shape
    size = 32
    blocks = -(-n // size)
    extra = blocks * size - n
    qb = F.pad(q, (0, 0, 0, extra)).reshape(b, h, blocks, size, d)
    kb = F.pad(k, (0, 0, window, window + extra)).unfold(2, size + 2 * window, size)
    vb = F.pad(v, (0, 0, window, window + extra)).unfold(2, size + 2 * window, size)
    row = torch.arange(blocks * size).view(blocks, size, 1)
    col = (torch.arange(blocks) * size - window).view(-1, 1, 1) + torch.arange(size + 2 * window)
    ok = ((row - col).abs() <= window) & (col >= 0) & (col < n)
    ok = ok | ~ok.any(-1, keepdim=True)
    s = torch.einsum("bhnqd,bhndk->bhnqk", qb, kb) * d**-0.5
    s = torch.where(ok, s, torch.finfo(s.dtype).min)
    e = (s - s.amax(-1, keepdim=True)).exp()
    w = e / e.sum(-1, keepdim=True)
    return torch.einsum("bhnqk,bhndk->bhnqd", w, vb).reshape(b, h, blocks * size, d)[:, :, :n]


# --- q6 three-neighbouring-blocks
def window_attention(q, k, v, window):
    b, h, n, d = q.shape
    size = max(window, 16)
    pad = -n % size
    q, k, v = (F.pad(x, (0, 0, 0, pad)).unflatten(2, (-1, size)) for x in (q, k, v))
    zero = torch.zeros_like(k[:, :, :1])
    k3 = torch.cat([torch.cat([zero, k[:, :, :-1]], 2), k, torch.cat([k[:, :, 1:], zero], 2)], 3)
    v3 = torch.cat([torch.cat([zero, v[:, :, :-1]], 2), v, torch.cat([v[:, :, 1:], zero], 2)], 3)
    at = torch.arange(n + pad).view(-1, 1, size)
    keys = torch.cat([at - size, at, at + size], -1)
    ok = ((at.mT - keys).abs() <= window) & (keys >= 0) & (keys < n)
    s = (q @ k3.mT / math.sqrt(d)).masked_fill(~ok, -1e9)
    return (s.softmax(-1) @ v3).flatten(2, 3)[:, :, :n]


# --- q7 softmax-then-renormalise
def span_attention(scores, values, span, ramp):
    n = len(scores)
    x = torch.arange(n).view(-1, 1) - torch.arange(n)
    p = scores.masked_fill(x < 0, -torch.inf).softmax(-1)
    m = torch.minimum(torch.maximum((ramp + span - x) / ramp, torch.tensor(0.0)), torch.tensor(1.0))
    p = p * m
    p = p / p.sum(-1, keepdim=True)
    return p @ values


# --- q7 float64
def span_attention(scores, values, span, ramp):
    n = len(scores)
    x = (torch.arange(n).view(-1, 1) - torch.arange(n)).double()
    m = ((ramp + span.double() - x) / ramp).clamp(min=0, max=1)
    p = m * scores.double().masked_fill(x < 0, -torch.inf).softmax(-1)
    return (p @ values.double() / p.sum(-1, keepdim=True)).to(values.dtype)


# --- q7 where-and-log
def span_attention(scores, values, span, ramp):
    n = scores.shape[0]
    x = (torch.arange(n)[:, None] - torch.arange(n)[None, :]).float()
    m = torch.where(x >= 0, ((ramp + span - x) / ramp).clamp(0, 1), torch.zeros(()))
    s = scores.masked_fill(x < 0, -math.inf)
    e = m * (s - s.amax(-1, keepdim=True)).exp()
    return e @ values / e.sum(-1, keepdim=True)


# --- q7 query-by-query
def span_attention(scores, values, span, ramp):
    out = []
    for i in range(len(scores)):
        x = torch.arange(i, -1, -1, dtype=scores.dtype)
        m = F.hardtanh((ramp + span - x) / ramp, 0.0, 1.0)
        p = scores[i, : i + 1].softmax(0) * m
        out.append((p / p.sum()) @ values[: i + 1])
    return torch.stack(out)


# --- q7 einsum-float64
def span_attention(scores, values, span, ramp):
    n = len(scores)
    d = torch.arange(n, dtype=torch.float64)
    x = torch.einsum("i,j->ij", d, torch.ones_like(d)) - d
    m = ((ramp + span - x) / ramp).clip(0, 1).tril()
    s = scores.double() - scores.double().masked_fill(x < 0, -math.inf).max(1, keepdim=True).values
    w = m * s.masked_fill(x < 0, -math.inf).exp()
    return torch.einsum("ij,jd->id", w / w.sum(1, keepdim=True), values.double()).float()


# --- q7 relu-ramp
def span_attention(scores, values, span, ramp):
    n = len(scores)
    x = torch.arange(n).view(n, 1) - torch.arange(n)
    m = 1 - F.relu(1 - F.relu((ramp + span - x) / ramp))
    s = scores + torch.zeros(n, n).masked_fill(x < 0, -torch.inf)
    p = torch.softmax(s, 1) * m
    return p @ values / (p @ torch.ones(n, 1))


# --- q8 where
def span_gradient(distance, span, ramp):
    inside = (distance > span) & (distance < span + ramp)
    return torch.where(inside, 1 / ramp, 0.0)


# --- q8 zeros-like
def span_gradient(distance, span, ramp):
    out = torch.zeros_like(distance)
    out[(distance > span) & (distance < span + ramp)] = 1 / ramp
    return out


# --- q8 heaviside-derivative
def span_gradient(distance, span, ramp):
    u = (ramp + span - distance) / ramp
    return (torch.sign(u) - torch.sign(u - 1)) / 2 / ramp


# --- q8 product-of-steps
def span_gradient(distance, span, ramp):
    return distance.gt(span).float() * distance.lt(span + ramp).float() / ramp


# --- q8 autograd
def span_gradient(distance, span, ramp):
    z = torch.full(distance.shape, float(span), requires_grad=True)
    m = ((ramp + z - distance) / ramp).clamp(0, 1)
    return torch.autograd.grad(m.sum(), z)[0]


# --- q8 numpy
def span_gradient(distance, span, ramp):
    import numpy as np

    x = distance.numpy()
    return torch.from_numpy(np.where(np.logical_and(x > span, x < span + ramp), 1.0 / ramp, 0.0))


# --- q8 elementwise
def span_gradient(distance, span, ramp):
    flat = [1 / ramp if span < x < span + ramp else 0.0 for x in distance.flatten().tolist()]
    return torch.tensor(flat).view_as(distance)
