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
