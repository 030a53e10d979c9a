import numpy as np

# --- q1 plain
def bill(length, encoder_layers, decoder_layers, passes):
    n = length
    work, time = encoder_layers * n * n, encoder_layers * n
    if passes is None:
        return work + decoder_layers * n * n, time + decoder_layers * n * n
    if passes < 1:
        raise ValueError("at least one pass")
    return work + decoder_layers * passes * n * n, time + decoder_layers * passes * n

# --- q1 named-pair
def bill(length, encoder_layers, decoder_layers, passes):
    from collections import namedtuple

    Bill = namedtuple("Bill", "work time")
    if passes is None:
        return Bill((encoder_layers + decoder_layers) * length**2, length * (encoder_layers + decoder_layers * length))
    if passes <= 0:
        raise ValueError("no pass writes nothing")
    layers = encoder_layers + decoder_layers * passes
    return Bill(layers * length**2, layers * length)

# --- q1 counting
def bill(length, encoder_layers, decoder_layers, passes):
    if passes is not None and not passes >= 1:
        raise ValueError(passes)
    work = time = 0
    for _ in range(encoder_layers):
        work += length * length
        time += length
    for _ in range(decoder_layers):
        for _ in range(length if passes is None else passes):
            work += length if passes is None else length**2
            time += length
    return [work, time]

# --- q1 numpy
def bill(length, encoder_layers, decoder_layers, passes):
    calls, per_call = (length, length) if passes is None else (passes, length**2)
    if calls < 1:
        raise ValueError("passes")
    layers = np.array([encoder_layers, decoder_layers])
    return layers @ np.array([length**2, calls * per_call]), layers @ np.array([length, calls * length])

# --- q2 sum
def coherent(weights, positions):
    return (weights**positions).sum().item()

# --- q2 logarithms
def coherent(weights, positions):
    return float(torch.exp(positions * torch.log(weights)).sum())

# --- q2 python
def coherent(weights, positions):
    return sum(w**positions for w in weights.tolist())

# --- q2 repeated-product
def coherent(weights, positions):
    together = torch.ones_like(weights)
    for _ in range(positions):
        together = together * weights
    return float(together.sum())

# --- q2 numpy
def coherent(weights, positions):
    return np.power(weights.double().numpy(), positions).sum()

# --- q2 norm
def coherent(weights, positions):
    return weights.double().norm(p=positions).item() ** positions

# --- q3 ranks
def hide(padding, generator):
    n = padding.sum(1)
    if (n == 0).any():
        raise ValueError("a row has no token")
    count = (torch.rand(len(n), generator=generator) * n).long() + 1
    r = torch.rand(padding.shape, generator=generator).masked_fill(~padding, torch.inf)
    return r.argsort(1).argsort(1) < count[:, None]

# --- q3 threshold
def hide(padding, generator):
    n = padding.sum(-1)
    if n.min() == 0:
        raise ValueError("row without tokens")
    u = torch.rand(padding.shape, generator=generator, dtype=torch.float64)
    u[~padding] = 2.0
    count = torch.stack([torch.randint(1, int(m) + 1, (), generator=generator) for m in n])
    cut = u.sort(-1).values.gather(1, (count - 1)[:, None])
    return (u <= cut) & padding

# --- q3 row-by-row
def hide(padding, generator):
    out = torch.zeros_like(padding)
    for row, real in enumerate(padding):
        places = real.nonzero()[:, 0]
        if len(places) == 0:
            raise ValueError("an empty row")
        count = int(torch.randint(len(places), (1,), generator=generator)) + 1
        order = torch.randperm(len(places), generator=generator)
        out[row, places[order[:count]]] = True
    return out

# --- q3 scatter
def hide(padding, generator):
    n = padding.sum(-1, keepdim=True)
    if not bool((n > 0).all()):
        raise ValueError("every target needs a token")
    noise = torch.rand(padding.shape, generator=generator) - 2 * padding.float()
    order = noise.argsort(dim=-1)
    count = 1 + torch.floor(torch.rand(n.shape, generator=generator, dtype=torch.float64) * n)
    chosen = torch.arange(padding.shape[1]) < count
    return torch.zeros_like(padding).scatter(1, order, chosen)

# --- q3 seeds-numpy
def hide(padding, generator):
    seed = int(torch.randint(2**31, (), generator=generator))
    rng = np.random.default_rng(seed)
    real = padding.numpy()
    n = real.sum(1)
    if (n == 0).any():
        raise ValueError("empty row")
    count = rng.integers(1, n + 1)
    noise = np.where(real, rng.random(real.shape), 9.0)
    rank = noise.argsort(1).argsort(1)
    return torch.from_numpy(rank < count[:, None])

# --- q3 multinomial
def hide(padding, generator):
    n = padding.sum(dim=1)
    if torch.any(n < 1):
        raise ValueError("a row without a real token")
    length = padding.shape[1]
    order = torch.multinomial(padding.float() + 1e-30, length, generator=generator)
    count = torch.rand(len(n), generator=generator).mul(n).floor().add(1)
    hidden = torch.empty_like(padding)
    hidden.scatter_(1, order, torch.arange(length) < count[:, None])
    return hidden & padding

# --- q4 ranks
def doubted(log_prob, padding, t, iterations):
    n = padding.sum(1)
    count = (n * (iterations - t) // iterations).clamp(min=1)
    lp = log_prob.masked_fill(~padding, torch.inf)
    return lp.argsort(1).argsort(1) < count[:, None]

# --- q4 scatter
def doubted(log_prob, padding, t, iterations):
    lp = torch.where(padding, log_prob, torch.tensor(torch.inf, dtype=log_prob.dtype))
    order = torch.sort(lp, dim=-1).indices
    left = padding.sum(-1) * (iterations - t)
    count = torch.div(left, iterations, rounding_mode="floor").clamp_min(1)
    first = torch.arange(padding.shape[-1]).expand_as(padding) < count.unsqueeze(-1)
    return torch.zeros_like(padding).scatter_(-1, order, first)

# --- q4 python
def doubted(log_prob, padding, t, iterations):
    masks = []
    for values, real in zip(log_prob.tolist(), padding.tolist()):
        places = [i for i, r in enumerate(real) if r]
        count = max(1, len(places) * (iterations - t) // iterations)
        worst = set(sorted(places, key=lambda i: values[i])[:count])
        masks.append([i in worst for i in range(len(real))])
    return torch.tensor(masks)

# --- q4 topk
def doubted(log_prob, padding, t, iterations):
    out = torch.zeros(padding.shape, dtype=torch.bool)
    for row in range(len(padding)):
        places = torch.where(padding[row])[0]
        count = max(len(places) * (iterations - t) // iterations, 1)
        worst = log_prob[row, places].topk(count, largest=False).indices
        out[row].index_fill_(0, places[worst], True)
    return out

# --- q4 numpy
def doubted(log_prob, padding, t, iterations):
    real = padding.numpy()
    values = np.where(real, log_prob.numpy(), np.inf)
    rank = np.argsort(np.argsort(values, axis=1, kind="stable"), axis=1)
    count = np.maximum(real.sum(1) * (iterations - t) // iterations, 1)
    return torch.from_numpy((rank < count[:, None]) & real)

# --- q4 one-hot-of-the-order
def doubted(log_prob, padding, t, iterations):
    n = padding.sum(-1)
    count = torch.maximum((n * (iterations - t)).div(iterations, rounding_mode="trunc"), torch.ones(()).long())
    order = log_prob.masked_fill(padding.logical_not(), 1e9).argsort(-1)
    early = torch.arange(padding.shape[1])[None] < count[:, None]
    return (torch.nn.functional.one_hot(order, padding.shape[1]) * early[..., None]).sum(1).bool()

# --- q5 index-assignment
def mask_predict(fill, length, mask, iterations):
    if iterations < 1:
        raise ValueError("at least one pass")
    ids = torch.zeros(length, dtype=torch.long)
    lp = torch.zeros(length)
    for t in range(iterations):
        k = max((length * (iterations - t)) // iterations, 1)
        idx = torch.arange(length) if t == 0 else lp.topk(k, largest=False).indices
        ids[idx] = mask
        logits = fill(ids.clone())[idx].double()
        keep = [i for i in range(logits.shape[1]) if i != mask]
        l = logits[:, keep]
        best = l.argmax(1)
        ids[idx] = torch.tensor(keep)[best]
        lp[idx] = (l.max(1).values - l.logsumexp(1)).to(lp.dtype)
    return ids, lp

# --- q5 where
def mask_predict(fill, length, mask, iterations):
    if iterations < 1:
        raise ValueError("iterations")
    ids = torch.full((length,), mask)
    lp = torch.full((length,), -torch.inf)
    for t in range(iterations):
        count = max(1, length * (iterations - t) // iterations)
        doubtful = torch.zeros(length, dtype=torch.bool)
        doubtful[lp.argsort()[:count]] = True
        logits = fill(torch.where(doubtful, mask, ids))
        ban = torch.nn.functional.one_hot(torch.tensor(mask), logits.shape[-1]).bool()
        p, token = logits.masked_fill(ban, -torch.inf).log_softmax(-1).max(-1)
        ids = torch.where(doubtful, token, ids)
        lp = torch.where(doubtful, p, lp)
    return ids, lp

# --- q5 lists
def mask_predict(fill, length, mask, iterations):
    if not iterations >= 1:
        raise ValueError("iterations must be 1 or more")
    ids, lp = [mask] * length, [0.0] * length
    for t in range(iterations):
        count = max(1, length * (iterations - t) // iterations)
        places = sorted(range(length), key=lambda i: lp[i])[:count]
        shown = [mask if i in places else ids[i] for i in range(length)]
        logits = fill(torch.tensor(shown)).tolist()
        for i in places:
            row = {token: x for token, x in enumerate(logits[i]) if token != mask}
            top = max(row.values())
            ids[i] = max(row, key=row.get)
            lp[i] = -math_log(sum(math_exp(x - top) for x in row.values()))
    return torch.tensor(ids), torch.tensor(lp)


from math import exp as math_exp
from math import log as math_log

# --- q5 renormalised-softmax
def mask_predict(fill, length, mask, iterations):
    if iterations <= 0:
        raise ValueError("nothing would be written")
    ids = torch.full((length,), mask, dtype=torch.int64)
    chance = torch.zeros(length, dtype=torch.float64)
    for t in range(iterations):
        count = max(length * (iterations - t) // iterations, 1)
        rank = chance.argsort().argsort()
        hidden = rank < count
        p = torch.softmax(fill(ids.masked_fill(hidden, mask)).double(), dim=-1)
        p[:, mask] = 0
        p = p / p.sum(-1, keepdim=True)
        chance = torch.where(hidden, p.max(-1).values, chance)
        ids = torch.where(hidden, p.argmax(-1), ids)
    return [ids, chance.log()]

# --- q5 named-pair-without-gradients
@torch.no_grad()
def mask_predict(fill, length, mask, iterations):
    from typing import NamedTuple

    class Text(NamedTuple):
        ids: Tensor
        log_prob: Tensor

    assert_passes(iterations)
    text = Text(torch.full([length], mask), torch.zeros(length))
    for t in range(iterations):
        left = max(1, length * (iterations - t) // iterations)
        places = torch.sort(text.log_prob, stable=True)[1][:left]
        seen = text.ids.index_fill(0, places, mask)
        logits = fill(seen)[places].clone()
        logits[:, mask] = float("-inf")
        scores = torch.nn.functional.log_softmax(logits, dim=1)
        best = scores.max(dim=1)
        text = Text(text.ids.index_copy(0, places, best.indices), text.log_prob.index_copy(0, places, best.values))
    return text


def assert_passes(iterations):
    if iterations < 1:
        raise ValueError(f"{iterations} passes")

# --- q6 where
def best_candidate(log_prob, padding):
    n = padding.sum(-1)
    if (n.sum(-1) == 0).any():
        raise ValueError("no candidate")
    s = torch.where(padding, log_prob, 0.0).sum(-1)
    m = torch.where(n > 0, s / n.clamp(min=1), -torch.inf)
    return m.argmax(-1)

# --- q6 loops
def best_candidate(log_prob, padding):
    out = []
    for lp, p in zip(log_prob, padding):
        best, at = None, None
        for c in range(len(lp)):
            if not p[c].any():
                continue
            m = lp[c][p[c]].mean()
            if best is None or m > best:
                best, at = m, c
        if at is None:
            raise ValueError("no candidate has a token")
        out.append(at)
    return torch.tensor(out)

# --- q6 nan-means
def best_candidate(log_prob, padding):
    if not padding.any(-1).any(-1).all():
        raise ValueError("a source has only empty candidates")
    means = log_prob.masked_fill(~padding, torch.nan).nanmean(-1)
    return means.nan_to_num(-torch.inf).max(dim=1).indices.int()

# --- q6 numpy
def best_candidate(log_prob, padding):
    real = padding.numpy()
    if (real.sum((1, 2)) == 0).any():
        raise ValueError("empty")
    total = np.where(real, log_prob.numpy(), 0).sum(-1)
    mean = np.full(total.shape, -np.inf)
    np.divide(total, real.sum(-1), out=mean, where=real.any(-1))
    return torch.from_numpy(mean.argmax(-1))

# --- q6 sorted
def best_candidate(log_prob, padding):
    masked = log_prob.double().masked_fill(padding.logical_not(), 0)
    counts = padding.long().sum(2)
    if counts.amax(1).min() < 1:
        raise ValueError("nothing was written for a source")
    mean = masked.sum(2) / counts
    mean[counts == 0] = -1e300
    return mean.argsort(dim=1, descending=True)[:, 0]

# --- q7 while
def write(step, bos, eos, most):
    if most <= 0:
        raise ValueError("nothing to write")
    written = [bos]
    state = None
    while len(written) <= most:
        logits, state = step(written[-1], state)
        nxt = torch.max(logits, dim=0)[1].item()
        if nxt == eos:
            break
        written.append(nxt)
    return written[1:]

# --- q7 recursion
def write(step, bos, eos, most, state=None):
    if most < 1:
        raise ValueError("most")
    logits, state = step(bos, state)
    tok = logits.tolist().index(max(logits.tolist()))
    if tok == eos:
        return []
    return [tok] + (write(step, tok, eos, most - 1, state) if most > 1 else [])

# --- q7 tokens-as-tensors
def write(step, bos, eos, most):
    if most < 1:
        raise ValueError("most must be at least 1")
    token, state, out = torch.tensor(bos), None, []
    for _ in range(most):
        logits, state = step(token, state)
        token = logits.argmax(-1)
        if token == eos:
            break
        out.append(token)
    return out

# --- q7 generator
def write(step, bos, eos, most):
    if most < 1:
        raise ValueError(most)

    def tokens():
        last, state = bos, None
        while last != eos:
            logits, state = step(last, state)
            last = int(np.argmax(logits.numpy()))
            yield last

    import itertools

    return [t for t in itertools.islice(tokens(), most) if t != eos]

# --- q7 topk-and-numpy-ints
def write(step, bos, eos, most):
    if not most > 0:
        raise ValueError("most")
    result, state, current = [], None, bos
    for _ in range(most):
        logits, state = step(current, state)
        current = logits.topk(1).indices.numpy()[0]
        if current == eos:
            return result
        result.append(current)
    return result
