"""Right answers to lab 4, in many styles: `# --- qN name` begins an answer to question N."""

# ruff: noqa


# --- q1 einsum
def linear_attention(phi_q, phi_k, v):
    kv = torch.einsum("bhnf,bhnd->bhfd", phi_k, v)
    z = torch.einsum("bhnf,bhf->bhn", phi_q, phi_k.sum(2))
    return torch.einsum("bhnf,bhfd->bhnd", phi_q, kv) / z[..., None]


# --- q1 with-eps
def linear_attention(phi_q, phi_k, v):
    kv = phi_k.transpose(-1, -2) @ v
    z = (phi_q * phi_k.sum(-2, keepdim=True)).sum(-1, keepdim=True)
    return (phi_q @ kv) / (z + 1e-6)


# --- q2 loop-of-chunks
def causal_scan(phi_q, phi_k, v, chunk):
    n, f = phi_q.shape
    one = torch.cat([v, v.new_ones(n, 1)], 1)
    S = v.new_zeros(f, one.shape[1])
    outs = []
    for s in range(0, n, chunk):
        q, k, o = phi_q[s : s + chunk], phi_k[s : s + chunk], one[s : s + chunk]
        outs.append((q @ k.T).tril() @ o + q @ S)
        S = S + k.T @ o
    r = torch.cat(outs)
    return r[:, :-1] / r[:, -1:]


# --- q2 vectorised-over-chunks
def causal_scan(phi_q, phi_k, v, chunk):
    n, f = phi_q.shape
    c = min(chunk, n)
    pad = -n % c
    one = torch.cat([v, v.new_ones(n, 1)], 1)
    q, k, o = (F.pad(t, (0, 0, 0, pad)).unflatten(0, (-1, c)) for t in (phi_q, phi_k, one))
    sums = k.mT @ o  # chunks, f, d+1
    before = torch.cat([torch.zeros_like(sums[:1]), sums.cumsum(0)[:-1]])
    r = ((q @ k.mT).tril() @ o + q @ before).flatten(0, 1)[:n]
    return r[:, :-1] / r[:, -1:]


# --- q3 plain
def positive_features(x, omega):
    m, d = omega.shape
    x = x / d**0.25
    return torch.exp(x @ omega.T - (x * x).sum(-1, keepdim=True) / 2) / math.sqrt(m)


# --- q3 double
def positive_features(x, omega):
    u = x.double() / omega.shape[1] ** 0.25
    return (
        (u @ omega.double().T).exp()
        * (-(u.norm(dim=-1, keepdim=True) ** 2) / 2).exp()
        / len(omega) ** 0.5
    ).to(x.dtype)


# --- q4 gram-schmidt
def orthogonal_vectors(m, head_dim, generator):
    rows = []
    for i in range(m):
        block = rows[i - i % head_dim :]
        g = torch.randn(head_dim, generator=generator, dtype=torch.float64)
        for b in block:
            g = g - (g @ b) * b
        rows.append(g / g.norm())
    lengths = torch.randn(m, head_dim, generator=generator).norm(dim=1)
    return torch.stack(rows).float() * lengths[:, None]


# --- q4 batched-qr-rademacher
def orthogonal_vectors(m, head_dim, generator):
    b = (m + head_dim - 1) // head_dim
    q = torch.linalg.qr(torch.randn(b, head_dim, head_dim, generator=generator)).Q
    s = torch.randint(0, 2, (b, 1, head_dim), generator=generator) * 2 - 1
    w = (q * s).mT.reshape(-1, head_dim)[:m]
    return w * torch.linalg.vector_norm(
        torch.randn(m, head_dim, generator=generator), dim=-1, keepdim=True
    )


# --- q5 torch
def bias_and_variance(estimates, exact):
    var = estimates.var()
    return (estimates.mean() - exact).item(), (var / len(estimates)).sqrt().item(), var.item()


# --- q5 tensors-tuple
def bias_and_variance(estimates, exact):
    return estimates.mean() - exact, estimates.std() / len(estimates) ** 0.5, estimates.std() ** 2


# --- q6 formula
def predicted_variance(x, y, m, kind):
    x, y = x.double(), y.double()
    kappa2 = math.exp(2 * float(x @ y))
    if kind == "positive":
        second = math.exp(2 * float((x + y) @ (x + y)) - float(x @ x) - float(y @ y))
    else:
        s = x - y
        second = math.exp(float(x @ x + y @ y)) * (1 + math.exp(-2 * float(s @ s))) / 2
    return (second - kappa2) / m


# --- q6 tensor-float32
def predicted_variance(x, y, m, kind):
    kappa = torch.exp(x @ y)
    if kind == "positive":
        second = torch.exp(2 * (x + y).norm() ** 2 - x.norm() ** 2 - y.norm() ** 2)
    else:
        second = (
            torch.exp(x.norm() ** 2 + y.norm() ** 2) * (1 + torch.exp(-2 * (x - y).norm() ** 2)) / 2
        )
    return float((second - kappa**2) / m)


# --- q7 random-large
def leak(attend, q, k, v, start):
    g = torch.Generator().manual_seed(1)
    worst = 0.0
    a = attend(q.clone(), k.clone(), v.clone())[..., :start, :]
    for scale in (1.0, 30.0, -30.0):
        k2 = torch.cat(
            [k[..., :start, :], scale * torch.randn(k[..., start:, :].shape, generator=g)], -2
        )
        v2 = torch.cat(
            [v[..., :start, :], scale * torch.randn(v[..., start:, :].shape, generator=g)], -2
        )
        worst = max(worst, float((attend(q, k2, v2)[..., :start, :] - a).abs().max()))
    return worst


# --- q7 flip-sign-large
def leak(attend, q, k, v, start):
    k2, v2 = k.detach().clone(), v.detach().clone()
    k2[:, :, start:] = -100 * k2[:, :, start:]
    v2[:, :, start:] = v2[:, :, start:] + 7
    return torch.dist(
        attend(q, k, v)[:, :, :start], attend(q, k2, v2)[:, :, :start], p=float("inf")
    ).item()


# --- q8 reconstruct
def rank_error(weights, k):
    u, s, vh = torch.linalg.svd(weights.double(), full_matrices=False)
    p = u[:, :k] @ torch.diag(s[:k]) @ vh[:k]
    return float((weights - p).norm() / weights.norm())


# --- q8 norms
def rank_error(weights, k):
    s = torch.linalg.svdvals(weights)
    return s[k:].norm() / s.norm()


# --- q9 F-linear
def mix_first(x, weight, bias, mixer):
    return F.linear(mixer @ x, weight) + torch.outer(mixer.sum(-1), bias)


# --- q9 einsum
def mix_first(x, weight, bias, mixer):
    small = torch.einsum("kn,ni->ki", mixer, x)
    return torch.einsum("ki,oi->ko", small, weight) + torch.einsum("kn,o->ko", mixer, bias)


# --- q10 numpy
def crossover(lengths, baseline, challenger):
    import numpy as np

    lost = np.flatnonzero(np.asarray(challenger) >= np.asarray(baseline))
    first = 0 if len(lost) == 0 else int(lost[-1]) + 1
    return lengths[first] if first < len(lengths) else None


# --- q10 torch
def crossover(lengths, baseline, challenger):
    win = torch.tensor(challenger) < torch.tensor(baseline)
    keep = win.flip(0).long().cumprod(0).flip(0).bool()
    return torch.tensor(lengths)[keep].min().item() if keep.any() else None


# --- q1 ones-behind-the-values
def linear_attention(phi_q, phi_k, v):
    both = phi_q @ (phi_k.mT @ F.pad(v, (0, 1), value=1.0))
    return both[..., :-1] / both[..., -1:]


# --- q1 head-by-head
def linear_attention(phi_q, phi_k, v):
    out = torch.empty(*phi_q.shape[:-1], v.shape[-1])
    for b in range(len(v)):
        for h in range(v.shape[1]):
            q, k = phi_q[b, h], phi_k[b, h]
            out[b, h] = (q @ (k.T @ v[b, h])) / (q @ k.sum(0))[:, None]
    return out


# --- q1 double
def linear_attention(phi_q, phi_k, v):
    q, k, w = phi_q.double(), phi_k.double(), v.double()
    out = torch.matmul(q, torch.matmul(k.transpose(2, 3), w))
    out /= torch.matmul(q, k.sum(dim=2).unsqueeze(-1))
    return out.to(v.dtype)


# --- q1 keys-normalised-first
def linear_attention(phi_q, phi_k, v):
    scale = 1 / torch.einsum("bhif,bhf->bhi", phi_q, phi_k.sum(-2))
    return torch.einsum("bhif,bhi,bhfd->bhid", phi_q, scale, torch.einsum("bhjf,bhjd->bhfd", phi_k, v))


# --- q2 two-sums
def causal_scan(phi_q, phi_k, v, chunk):
    length, features = phi_q.shape
    values, keys = torch.zeros(features, v.shape[1]), torch.zeros(features)
    parts = []
    for start in range(0, length, chunk):
        stop = min(start + chunk, length)
        q, k, w = phi_q[start:stop], phi_k[start:stop], v[start:stop]
        inside = torch.tril(q @ k.mT)
        above = inside @ w + q @ values
        below = inside.sum(1) + q @ keys
        parts.append(above / below.unsqueeze(1))
        values, keys = values + k.mT @ w, keys + k.sum(0)
    return torch.cat(parts, 0)


# --- q2 split-and-mask
def causal_scan(phi_q, phi_k, v, chunk):
    state, total, out = 0.0, 0.0, []
    for q, k, w in zip(phi_q.split(chunk), phi_k.split(chunk), v.split(chunk)):
        mask = torch.ones(len(q), len(q), dtype=torch.bool).triu(1)
        weights = (q @ k.t()).masked_fill(mask, 0.0)
        top, bottom = weights @ w, weights.sum(-1, keepdim=True)
        if out:
            top, bottom = top + q @ state, bottom + q @ total
        out.append(top / bottom)
        state = state + k.t() @ w
        total = total + k.sum(0)[:, None]
    return torch.vstack(out)


# --- q2 states-first-then-chunks
def causal_scan(phi_q, phi_k, v, chunk):
    w = torch.cat([v, torch.ones_like(v[:, :1])], -1)
    ks, ws, qs = phi_k.split(chunk), w.split(chunk), phi_q.split(chunk)
    sums = [k.T @ one for k, one in zip(ks, ws)]
    states = [torch.zeros_like(sums[0])]
    for s in sums[:-1]:
        states.append(states[-1] + s)
    raw = [torch.tril(q @ k.T) @ one + q @ s for q, k, one, s in zip(qs, ks, ws, states)]
    raw = torch.cat(raw)
    return raw[:, : v.shape[1]] / raw[:, v.shape[1] :]


# --- q3 logarithms
def positive_features(x, omega):
    m, d = omega.shape
    u = x * d**-0.25
    logs = torch.einsum("...d,md->...m", u, omega) - 0.5 * (u**2).sum(-1)[..., None]
    return torch.exp(logs - 0.5 * math.log(m))


# --- q3 linear-layer
def positive_features(x, omega):
    d = x.size(-1)
    dots = F.linear(x, omega) / math.sqrt(math.sqrt(d))
    return dots.sub(x.norm(dim=-1, keepdim=True).pow(2) / (2 * math.sqrt(d))).exp() * len(omega) ** -0.5


# --- q3 row-by-row
def positive_features(x, omega):
    x = x / x.shape[-1] ** 0.25
    half = (x * x).sum(-1) / 2
    rows = [((x * w).sum(-1) - half).exp() for w in omega]
    return torch.stack(rows, -1) / len(rows) ** 0.5


# --- q4 svd
def orthogonal_vectors(m, head_dim, generator):
    rows = torch.empty(0, head_dim)
    while len(rows) < m:
        u, _, vh = torch.linalg.svd(torch.randn(head_dim, head_dim, generator=generator))
        rows = torch.cat([rows, u @ vh])
    lengths = torch.randn(m, head_dim, generator=generator).square().sum(1).sqrt()
    return rows[:m] * lengths[:, None]


# --- q4 signs-of-the-diagonal-per-block
def orthogonal_vectors(m, head_dim, generator):
    out = []
    while m > 0:
        square = torch.randn(head_dim, head_dim, generator=generator)
        q, r = torch.linalg.qr(square)
        q = q @ torch.diag(torch.sign(torch.diag(r)))
        norms = torch.linalg.norm(torch.randn(head_dim, head_dim, generator=generator), dim=1)
        out.append((torch.diag(norms) @ q.T)[:m])
        m -= head_dim
    return torch.vstack(out)


# --- q4 lengths-of-the-same-kind-double
def orthogonal_vectors(m, head_dim, generator):
    blocks = math.ceil(m / head_dim)
    g = torch.randn(blocks, head_dim, head_dim, generator=generator, dtype=torch.double)
    q, r = torch.linalg.qr(g)
    q = q * torch.diagonal(r, dim1=-2, dim2=-1).sgn()[:, None, :]
    again = torch.randn(blocks, head_dim, head_dim, generator=generator, dtype=torch.double)
    rows = q.mT * again.norm(dim=-1)[..., None]
    return rows.flatten(0, 1)[:m].to(torch.float32)


# --- q5 by-hand
def bias_and_variance(estimates, exact):
    n = len(estimates)
    mean = sum(estimates.tolist()) / n
    variance = sum((e - mean) ** 2 for e in estimates.tolist()) / (n - 1)
    return [mean - exact, (variance / n) ** 0.5, variance]


# --- q5 numpy
def bias_and_variance(estimates, exact):
    import numpy as np

    e = estimates.numpy()
    return e.mean() - exact, e.std(ddof=1) / np.sqrt(e.size), np.var(e, ddof=1)


# --- q5 statistics
def bias_and_variance(estimates, exact):
    import statistics

    numbers = estimates.tolist()
    spread = statistics.stdev(numbers)
    return statistics.fmean(numbers) - exact, spread / math.sqrt(len(numbers)), spread**2


# --- q6 relative
def predicted_variance(x, y, m, kind):
    kappa = math.exp(x @ y)
    if kind == "positive":
        return kappa**2 * math.expm1((x + y).square().sum()) / m
    s = float((x - y).square().sum())
    return kappa**2 * (math.cosh(s) - 1) / m


# --- q6 mean-of-squares
def predicted_variance(x, y, m, kind):
    nx, ny, xy = torch.dot(x, x), torch.dot(y, y), torch.dot(x, y)
    if kind == "positive":
        second = torch.exp(nx + ny + 4 * xy)
    elif kind == "trigonometric":
        second = (nx + ny).exp() * 0.5 * (1 + (-2 * (nx + ny - 2 * xy)).exp())
    else:
        raise ValueError(kind)
    return ((second - torch.exp(2 * xy)) / m).item()


# --- q6 numpy
def predicted_variance(x, y, m, kind):
    import numpy as np

    x, y = x.numpy().astype(np.float64), y.numpy().astype(np.float64)
    first = np.exp(x @ y)
    u, s = x + y, x - y
    second = {
        "positive": np.exp(2 * u @ u - x @ x - y @ y),
        "trigonometric": np.exp(x @ x + y @ y) * (1 + np.exp(-2 * s @ s)) / 2,
    }[kind]
    return (second - first**2) / m


# --- q7 one-at-a-time-and-together
def leak(attend, q, k, v, start):
    base = attend(q, k, v).detach()[:, :, :start]
    worst = 0.0
    for factor_k, factor_v in ((-20, 1), (1, -20), (-20, -20), (50, 50)):
        k2, v2 = k.clone(), v.clone()
        k2[..., start:, :] *= factor_k
        v2[..., start:, :] *= factor_v
        worst = max(worst, (attend(q, k2, v2)[:, :, :start] - base).abs().max().item())
    return worst


# --- q7 adds
def leak(attend, q, k, v, start):
    shift = torch.zeros_like(k)
    shift[:, :, start:, :] = 25.0
    before = attend(q, k, v).narrow(2, 0, start)
    after = attend(q, k + shift, v - shift[..., : v.shape[-1]]).narrow(2, 0, start)
    return torch.linalg.vector_norm(after - before, ord=torch.inf)


# --- q7 where
def leak(attend, q, k, v, start):
    late = (torch.arange(k.shape[2]) >= start)[:, None]
    other = attend(q, torch.where(late, -12 * k, k), torch.where(late, 12 - 3 * v, v))
    return float((other - attend(q, k, v)).abs()[:, :, :start].amax())


# --- q8 what-is-kept
def rank_error(weights, k):
    squares = torch.linalg.svdvals(weights.double()) ** 2
    kept = squares[:k].sum() / squares.sum()
    return math.sqrt(max(0.0, 1 - float(kept)))


# --- q8 gram
def rank_error(weights, k):
    w = weights.double()
    gram = w @ w.T if w.shape[0] < w.shape[1] else w.T @ w
    squares = torch.linalg.eigvalsh(gram).clamp(min=0)  # ascending
    return (squares[: len(squares) - k].sum() / squares.sum()).sqrt().item()


# --- q8 numpy
def rank_error(weights, k):
    import numpy as np

    s = np.linalg.svd(weights.numpy(), compute_uv=False)
    return np.sqrt((s[k:] ** 2).sum() / (weights.numpy() ** 2).sum())


# --- q8 layer-by-layer
def rank_error(weights, k):
    u, s, v = torch.svd(weights)
    rest = weights.clone()
    for i in range(k):
        rest = rest - s[i] * torch.outer(u[:, i], v[:, i])
    return torch.linalg.matrix_norm(rest) / torch.linalg.matrix_norm(weights)


# --- q9 ones-beside-the-tokens
def mix_first(x, weight, bias, mixer):
    tokens = torch.cat([x, x.new_ones(len(x), 1)], dim=1)
    return mixer @ tokens @ torch.cat([weight, bias[:, None]], dim=1).T


# --- q9 row-by-row
def mix_first(x, weight, bias, mixer):
    rows = []
    for shares in mixer:
        mixed = (shares[:, None] * x).sum(0)
        rows.append(weight @ mixed + shares.sum() * bias)
    return torch.stack(rows)


# --- q9 one-einsum
def mix_first(x, weight, bias, mixer):
    return torch.einsum("ki,oi->ko", mixer.matmul(x), weight).addcmul(
        mixer.sum(1)[:, None], bias[None, :]
    )


# --- q9 double
def mix_first(x, weight, bias, mixer):
    e, w = mixer.double(), weight.double()
    out = (e @ x.double()).mm(w.T) + e.sum(1).ger(bias.double())
    return out.to(x.dtype)


# --- q10 forwards
def crossover(lengths, baseline, challenger):
    found = None
    for length, slow, fast in zip(lengths, baseline, challenger):
        if fast < slow:
            found = length if found is None else found
        else:
            found = None
    return found


# --- q10 all
def crossover(lengths, baseline, challenger):
    wins = [c < b for b, c in zip(baseline, challenger)]
    return next((n for i, n in enumerate(lengths) if all(wins[i:])), None)


# --- q10 dictionary
def crossover(lengths, baseline, challenger):
    lost = {n for n, b, c in zip(lengths, baseline, challenger) if not c < b}
    after = [n for n in lengths if n > max(lost, default=-1)]
    return min(after) if after else None


# --- q10 recursion
def crossover(lengths, baseline, challenger):
    if not lengths or challenger[-1] >= baseline[-1]:
        return None
    earlier = crossover(lengths[:-1], baseline[:-1], challenger[:-1])
    return lengths[-1] if earlier is None else earlier


# --- q7 a-tensor-with-one-element
def leak(attend, q, k, v, start):
    other_k, other_v = k.clone(), v.clone()
    other_k[:, :, start:] = 30 * other_k[:, :, start:].flip(-1) + 7
    other_v[:, :, start:] = -9 * other_v[:, :, start:] - 3
    change = attend(q, other_k, other_v) - attend(q, k, v)
    return change[:, :, :start].abs().reshape(1, -1).amax(-1)
