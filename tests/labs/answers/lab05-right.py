"""Right answers to lab 5, in many styles: `# --- qN name` begins an answer to question N."""

# ruff: noqa


# --- q1 weighted-sum-einsum
def head_importance(outputs, losses):
    grads = torch.autograd.grad(losses, list(outputs), grad_outputs=torch.ones_like(losses))
    return [torch.einsum("bthd,bthd->bh", a, g).abs().mean(dim=0) for a, g in zip(outputs, grads)]


# --- q1 loops
def head_importance(outputs, losses):
    grads = torch.autograd.grad(losses.sum(), outputs)
    result = []
    for a, g in zip(outputs, grads):
        batch, _, heads, _ = a.shape
        values = torch.zeros(heads, dtype=a.dtype)
        for b in range(batch):
            for h in range(heads):
                values[h] += abs(float((a[b, :, h] * g[b, :, h]).sum())) / batch
        result.append(values)
    return result


# --- q1 backward-into-the-outputs-only
def head_importance(outputs, losses):
    for out in outputs:
        out.retain_grad()
    losses.sum().backward(inputs=list(outputs))
    return [(out.detach() * out.grad).flatten(3).transpose(1, 2).sum((2, 3)).abs().mean(0) for out in outputs]


# --- q1 keeps-the-graph-and-stacks-nothing
def head_importance(outputs, losses):
    found = torch.autograd.grad(losses.sum(), outputs, retain_graph=True, create_graph=False)
    with torch.no_grad():
        return tuple(
            torch.linalg.vecdot(a.transpose(1, 2).flatten(2), g.transpose(1, 2).flatten(2)).abs().mean(0)
            for a, g in zip(outputs, found)
        )


# --- q1 einops
def head_importance(outputs, losses):
    from einops import reduce

    grads = torch.autograd.grad(losses.sum(), outputs)
    each = [reduce(a * g, "b t h d -> b h", "sum") for a, g in zip(outputs, grads)]
    return [reduce(one.abs(), "b h -> h", "mean") for one in each]


# --- q2 stable-argsort
def first_to_go(importance, n, normalize):
    values, places = [], []
    for layer, x in enumerate(importance):
        values.append(F.normalize(x, dim=0) if normalize else x)
        places += [(layer, head) for head in range(len(x))]
    order = torch.cat(values).argsort(stable=True)
    return [places[i] for i in order[:n]]


# --- q2 dictionary
def first_to_go(importance, n, normalize):
    numbers = {}
    for layer, x in enumerate(importance):
        x = [float(one) for one in x]
        norm = math.sqrt(sum(one * one for one in x)) if normalize else 1
        for head, one in enumerate(x):
            numbers[layer, head] = one / norm if norm > 0 else 0.0
    return sorted(numbers, key=numbers.get)[:n]


# --- q2 the-smallest-again-and-again
def first_to_go(importance, n, normalize):
    left = [x / torch.linalg.norm(x).clamp(min=1e-30) if normalize else x.clone() for x in importance]
    gone = []
    while len(gone) < n:
        best = None
        for layer, x in enumerate(left):
            head = min(range(len(x)), key=lambda h: float(x[h]))
            if best is None or float(x[head]) < float(left[best[0]][best[1]]):
                best = (layer, head)
        gone.append(best)
        left[best[0]] = left[best[0]].clone()
        left[best[0]][best[1]] = math.inf
    return gone


# --- q2 numpy-and-heapq
def first_to_go(importance, n, normalize):
    import heapq

    import numpy as np

    rows = []
    for layer, x in enumerate(importance):
        x = x.numpy().astype(np.float64)
        if normalize and x.any():
            x = x / np.linalg.norm(x)
        rows.extend((value, layer, head) for head, value in enumerate(x))
    return [[layer, head] for _, layer, head in heapq.nsmallest(n, rows)]


# --- q3 new-linear-layers
@torch.no_grad()
def prune_heads(layer, heads):
    d, width = layer.out.weight.shape[0], layer.head_dim
    keep = torch.ones(layer.n_heads, width, dtype=torch.bool)
    keep[list(heads)] = False
    keep = keep.flatten()
    for name in ("q", "k", "v"):
        old = getattr(layer, name)
        new = nn.Linear(d, int(keep.sum()))
        new.weight.copy_(old.weight[keep])
        new.bias.copy_(old.bias[keep])
        setattr(layer, name, new)
    old = layer.out
    layer.out = nn.Linear(int(keep.sum()), d)
    layer.out.weight.copy_(old.weight[:, keep])
    layer.out.bias.copy_(old.bias)
    layer.n_heads -= len(heads)


# --- q3 by-blocks
def prune_heads(layer, heads):
    stay = sorted(set(range(layer.n_heads)) - set(heads))

    def cut(weight, axis):
        blocks = weight.detach().split(layer.head_dim, dim=axis)
        return nn.Parameter(torch.cat([blocks[h] for h in stay], dim=axis))

    for to in (layer.q, layer.k, layer.v):
        to.weight, to.bias = cut(to.weight, 0), cut(to.bias, 0)
    layer.out.weight = cut(layer.out.weight, 1)
    layer.n_heads = len(stay)


# --- q3 index-select-on-the-data
def prune_heads(layer, heads):
    rows = [
        h * layer.head_dim + i
        for h in range(layer.n_heads)
        if h not in set(heads)
        for i in range(layer.head_dim)
    ]
    rows = torch.tensor(rows)
    for to in (layer.q, layer.k, layer.v):
        to.weight.data = to.weight.data.index_select(0, rows)
        to.bias.data = to.bias.data.index_select(0, rows)
    layer.out.weight.data = layer.out.weight.data.index_select(1, rows)
    layer.n_heads = len(rows) // layer.head_dim


# --- q3 one-after-the-other-from-the-back
def prune_heads(layer, heads):
    for head in sorted(heads, reverse=True):
        start, stop = head * layer.head_dim, (head + 1) * layer.head_dim
        for to in (layer.q, layer.k, layer.v):
            w, b = to.weight.detach(), to.bias.detach()
            to.weight = nn.Parameter(torch.cat([w[:start], w[stop:]]))
            to.bias = nn.Parameter(torch.cat([b[:start], b[stop:]]))
        w = layer.out.weight.detach()
        layer.out.weight = nn.Parameter(torch.cat([w[:, :start], w[:, stop:]], dim=1))
        layer.n_heads -= 1
    return layer


# --- q3 einops
def prune_heads(layer, heads):
    from einops import rearrange

    keep = [h for h in range(layer.n_heads) if h not in heads]
    for to in (layer.q, layer.k, layer.v):
        w = rearrange(to.weight.detach(), "(h e) d -> h e d", h=layer.n_heads)[keep]
        b = rearrange(to.bias.detach(), "(h e) -> h e", h=layer.n_heads)[keep]
        to.weight = nn.Parameter(rearrange(w, "h e d -> (h e) d").clone())
        to.bias = nn.Parameter(rearrange(b, "h e -> (h e)").clone())
    w = rearrange(layer.out.weight.detach(), "d (h e) -> h d e", h=layer.n_heads)[keep]
    layer.out.weight = nn.Parameter(rearrange(w, "h d e -> d (h e)").contiguous())
    layer.n_heads = len(keep)


# --- q4 sorted-list
def prune_in_goes(estimate, shape, n, steps):
    gone = []
    for s in range(1, steps + 1):
        goal = n * s // steps
        if goal == len(gone):
            continue
        alive = torch.ones(shape, dtype=torch.bool)
        for layer, head in gone:
            alive[layer, head] = False
        numbers = estimate(alive)
        left = [(l, h) for l in range(shape[0]) for h in range(shape[1]) if (l, h) not in gone]
        left.sort(key=lambda place: float(numbers[place]))
        gone += left[: goal - len(gone)]
    return gone


# --- q4 infinities
def prune_in_goes(estimate, shape, n, steps):
    alive = torch.ones(*shape, dtype=torch.bool)
    order = []
    goals = [n * s // steps for s in range(steps + 1)]
    for before, after in zip(goals, goals[1:]):
        if after > before:
            numbers = torch.where(alive, estimate(alive), torch.inf).flatten()
            index = torch.sort(numbers, stable=True).indices[: after - before]
            for i in index.tolist():
                order.append((i // shape[1], i % shape[1]))
            alive = alive.clone()
            alive.view(-1)[index] = False
    return order


# --- q4 one-at-a-time-within-a-go
def prune_in_goes(estimate, shape, n, steps):
    gone, alive = [], torch.full(shape, True)
    for s in range(steps):
        goal, numbers = n * (s + 1) // steps, None
        while len(gone) < goal:
            if numbers is None:
                numbers = estimate(alive.clone()).double()
            best = None
            for layer, head in alive.nonzero().tolist():
                if best is None or numbers[layer, head] < numbers[best]:
                    best = (layer, head)
            gone.append(best)
            alive[best] = False
    return tuple(gone)


# --- q4 numpy
def prune_in_goes(estimate, shape, n, steps):
    import numpy as np

    alive, gone = np.ones(shape, dtype=bool), []
    for s in range(1, steps + 1):
        now = n * s // steps - len(gone)
        if now:
            x = np.where(alive, estimate(torch.from_numpy(alive.copy())).numpy(), np.inf).ravel()
            for i in np.argsort(x, kind="stable")[:now]:
                layer, head = np.unravel_index(i, shape)
                alive[layer, head] = False
                gone.append([layer, head])
    return gone


# --- q5 batches-once
def train_again(models, draw, update, measure, updates, seed):
    g = torch.Generator().manual_seed(seed)
    batches = [draw(g) for _ in range(updates)]
    copies = copy.deepcopy(models)
    for model in copies.values():
        for batch in batches:
            update(model, batch)
    return {name: measure(model) for name, model in copies.items()}


# --- q5 side-by-side
def train_again(models, draw, update, measure, updates, seed):
    copies = {name: copy.deepcopy(model) for name, model in models.items()}
    g = torch.Generator().manual_seed(seed)
    for _ in range(updates):
        batch = draw(g)
        for model in copies.values():
            update(model, batch)
    return {name: measure(model) for name, model in copies.items()}


# --- q5 comprehension
def train_again(models, draw, update, measure, updates, seed):
    def one(model):
        g = torch.Generator()
        g.manual_seed(seed)
        i = 0
        while i < updates:
            update(model, draw(g))
            i += 1
        return measure(model)

    return dict((name, one(copy.deepcopy(model))) for name, model in models.items())


# --- q5 state-of-the-generator
def train_again(models, draw, update, measure, updates, seed):
    g = torch.Generator().manual_seed(seed)
    start, result = g.get_state(), {}
    for name in models:
        g.set_state(start)
        model = copy.deepcopy(models[name])
        for _ in range(updates):
            update(model, draw(g))
        result[name] = torch.tensor(measure(model), dtype=torch.float64)
    return result


# --- q6 bisection
def sparsemax(scores):
    dead = (scores == -math.inf).all(-1, keepdim=True)
    top = scores.amax(-1, keepdim=True).masked_fill(dead, 0.0)
    x = (scores - top).double()
    lo, hi = -torch.ones_like(top, dtype=torch.double), torch.zeros_like(top, dtype=torch.double)
    for _ in range(60):
        mid = 0.5 * (lo + hi)
        big = (x - mid).clamp(min=0).sum(-1, keepdim=True) > 1
        lo, hi = torch.where(big, mid, lo), torch.where(big, hi, mid)
    return (x - lo).clamp(min=0).to(scores.dtype)


# --- q6 row-by-row
def sparsemax(scores):
    rows = []
    for row in scores.reshape(-1, scores.shape[-1]):
        if bool((row == -math.inf).all()):
            rows.append(torch.zeros_like(row))
            continue
        row = row - row.max()
        total, theta = 0.0, 0.0
        for n, s in enumerate(sorted(row.tolist(), reverse=True), start=1):
            if s <= (total + s - 1) / n:
                break
            total += s
            theta = (total - 1) / n
        rows.append(torch.clamp(row - theta, min=0))
    return torch.stack(rows).reshape(scores.shape)


# --- q6 newton
def sparsemax(scores):
    top = scores.amax(-1, keepdim=True)
    x = (scores - torch.where(top.isinf(), 0.0, top)).double()
    theta = -torch.ones(*x.shape[:-1], 1, dtype=torch.double)
    for _ in range(x.shape[-1] + 1):
        above = x > theta
        n = above.sum(-1, keepdim=True).clamp(min=1)
        new = (torch.where(above, x, 0.0).sum(-1, keepdim=True) - 1) / n
        if torch.equal(new, theta):
            break
        theta = new
    return torch.relu(x - theta).to(scores)


# --- q6 keeps-the-last-theta-that-fits
def sparsemax(scores):
    n_keys = scores.shape[-1]
    live = (scores > -math.inf).any(-1, keepdim=True)
    safe = torch.where(live, scores, torch.zeros_like(scores))
    safe = safe - safe.max(-1, keepdim=True).values
    z, _ = torch.sort(safe, dim=-1, descending=True)
    k = torch.arange(1, n_keys + 1, dtype=scores.dtype)
    c = torch.cumsum(z, -1)
    fits = 1 + k * z > c
    size = fits.sum(-1, keepdim=True)
    tau = (torch.where(fits, z, torch.zeros_like(z)).sum(-1, keepdim=True) - 1) / size
    return torch.where(live, torch.relu(safe - tau), torch.zeros_like(scores))


# --- q6 numpy
def sparsemax(scores):
    import numpy as np

    s = scores.detach().numpy().astype(np.float64).reshape(-1, scores.shape[-1])
    out = np.zeros_like(s)
    for i, row in enumerate(s):
        on = np.isfinite(row)
        if on.any():
            z = np.sort(row[on])[::-1]
            theta = max((z[: n + 1].sum() - 1) / (n + 1) for n in range(len(z)))
            out[i] = np.maximum(row - theta, 0)
    return torch.from_numpy(out).reshape(scores.shape).to(scores.dtype)


# --- q7 step-that-halves
def entmax(scores, alpha):
    dead = (scores == -math.inf).all(dim=-1, keepdim=True)
    z = torch.where(dead, torch.zeros_like(scores), scores)
    z = (z - z.max(dim=-1, keepdim=True)[0]) * (alpha - 1)
    tau, step = -torch.ones_like(z[..., :1]), 1.0
    for _ in range(30):
        step = step / 2
        total = torch.clamp(z - tau - step, min=0).pow(1 / (alpha - 1)).sum(-1, keepdim=True)
        tau = torch.where(total >= 1, tau + step, tau)
    p = torch.clamp(z - tau, min=0) ** (1 / (alpha - 1))
    p = p / p.sum(dim=-1, keepdim=True)
    return p.masked_fill(dead, 0)


# --- q7 double
def entmax(scores, alpha):
    a = torch.as_tensor(alpha, dtype=torch.float64)
    s = scores.double()
    m = s.amax(-1, keepdim=True)
    m = torch.where(torch.isinf(m), torch.zeros_like(m), m)
    x = (s - m) * (a - 1)
    lo = torch.full(m.shape, -1.0, dtype=torch.float64)
    hi = torch.full(m.shape, 0.0, dtype=torch.float64)
    for _ in range(50):
        mid = (lo + hi) / 2
        over = ((x - mid).relu() ** (1 / (a - 1))).sum(-1, keepdim=True) > 1
        lo[over], hi[~over] = mid[over], mid[~over]
    w = (x - (lo + hi) / 2).relu() ** (1 / (a - 1))
    total = w.sum(-1, keepdim=True)
    return (w / torch.where(total > 0, total, torch.ones_like(total))).to(scores.dtype)


# --- q7 without-a-shift-but-double
def entmax(scores, alpha):
    wide = scores.double()
    x = (alpha - 1) * wide
    hi = x.amax(-1, keepdim=True)
    hi = hi.masked_fill(hi == -math.inf, 0.0)
    lo = hi - 1
    for _ in range(60):
        mid = lo + 0.5 * (hi - lo)
        f = (x - mid).clamp_min(0).pow(1 / (alpha - 1)).sum(-1, keepdim=True) - 1
        lo = mid.where(f >= 0, lo)
        hi = mid.where(f < 0, hi)
    p = (x - lo).clamp_min(0).pow(1 / (alpha - 1))
    return (p / (p.sum(-1, keepdim=True) + 1e-40)).to(scores.dtype)


# --- q7 log-space-powers
def entmax(scores, alpha):
    alpha = alpha if isinstance(alpha, Tensor) else torch.tensor(float(alpha))
    r = 1 / (alpha - 1)
    top = scores.amax(-1, keepdim=True)
    x = (alpha - 1) * (scores - top.nan_to_num(neginf=0.0))

    def weigh(tau):
        above = x - tau
        return torch.where(above > 0, (r * above.clamp(min=1e-38).log()).exp(), 0.0)

    low, high = torch.zeros_like(top) - 1, torch.zeros_like(top)
    for _ in range(28):
        middle = (low + high) / 2
        right = weigh(middle).sum(-1, keepdim=True) >= 1
        low, high = torch.where(right, middle, low), torch.where(right, high, middle)
    w = weigh(low)
    return torch.where(top == -math.inf, 0.0, w / w.sum(-1, keepdim=True))


# --- q8 einsum
def entmax_backward(weights, grad, alpha):
    on = weights > 0
    u = torch.where(on, torch.where(on, weights, 1.0).pow(2 - alpha), 0.0)
    dot = torch.einsum("...j,...j->...", u, grad)[..., None]
    return u * grad - u * dot / u.sum(-1, keepdim=True).clamp(min=1e-20)


# --- q8 share
def entmax_backward(weights, grad, alpha):
    u = torch.zeros_like(weights)
    mask = weights > 0
    exponent = (2 - torch.as_tensor(alpha)).to(weights.dtype).expand_as(weights)
    u[mask] = weights[mask] ** exponent[mask]
    share = (u / u.sum(-1, keepdim=True)).nan_to_num(0.0)
    return u * (grad - (share * grad).sum(dim=-1, keepdim=True))


# --- q8 logarithms-in-double
def entmax_backward(weights, grad, alpha):
    w, g = weights.double(), grad.double()
    u = ((2 - alpha) * w.clamp(min=1e-300).log()).exp() * (w > 0)
    total = u.sum(-1, keepdim=True)
    total = torch.where(total == 0, torch.ones_like(total), total)
    return (u * (g - torch.linalg.vecdot(u, g)[..., None] / total)).to(weights.dtype)


# --- q8 special-cases
def entmax_backward(weights, grad, alpha):
    if not isinstance(alpha, Tensor) and alpha == 2:
        u = (weights > 0).float()
    elif not isinstance(alpha, Tensor) and alpha == 1:
        u = weights
    else:
        u = (weights ** (2 - alpha)).masked_fill(weights == 0, 0)
    n = u.sum(-1, keepdim=True)
    mean = torch.matmul(u[..., None, :], grad[..., None])[..., 0] / n.masked_fill(n == 0, 1)
    return torch.sub(grad, mean).mul(u)


# --- q9 two-formulas
def gap_needed(n, weight, alpha):
    if alpha > 1:
        return (weight ** (alpha - 1) - ((1 - weight) / (n - 1)) ** (alpha - 1)) / (alpha - 1)
    return math.log(weight) - math.log(1 - weight) + math.log(n - 1)


# --- q9 search
def gap_needed(n, weight, alpha):
    from frugal.attention.entmax import entmax as theirs

    if alpha == 1 or weight == 1:
        return math.log(weight * (n - 1) / (1 - weight)) if alpha == 1 else 1 / (alpha - 1)
    low, high = -1 / (alpha - 1), 1 / (alpha - 1)
    for _ in range(40):
        middle = (low + high) / 2
        scores = torch.zeros(n, dtype=torch.float64)
        scores[0] = middle
        found = float(theirs(scores, alpha)[0])
        low, high = (middle, high) if found < weight else (low, middle)
    return high


# --- q9 tensor
def gap_needed(n, weight, alpha):
    both = torch.tensor([weight, (1 - weight) / (n - 1)], dtype=torch.float64)
    scores = both.log() if alpha == 1 else both.pow(alpha - 1) / (alpha - 1)
    return scores[0] - scores[1]


# --- q9 numpy
def gap_needed(n, weight, alpha):
    import numpy as np

    def height(a):
        return np.log(a) if alpha == 1 else (a ** (alpha - 1) - 1) / (alpha - 1)

    return np.float64(height(np.float64(weight)) - height(np.float64((1 - weight) / (n - 1))))
