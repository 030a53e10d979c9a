"""Right answers to lab 7, in many styles: `# --- qN name` begins an answer to question N."""

# ruff: noqa


# --- q1 loop-of-cross-entropies
def exit_loss(scores, labels):
    total, n_exits = 0, scores.shape[1]
    for l in range(n_exits):
        total = total + (l + 1) * F.cross_entropy(scores[:, l], labels)
    return total / (n_exits * (n_exits + 1) / 2)


# --- q1 log-softmax-and-gather
def exit_loss(scores, labels):
    logs = scores.log_softmax(dim=-1)
    index = labels.view(-1, 1, 1).expand(-1, scores.size(1), 1)
    each = -logs.gather(2, index).squeeze(2).mean(0)
    weights = torch.arange(1, scores.size(1) + 1, dtype=scores.dtype)
    return torch.dot(weights / weights.sum(), each)


# --- q1 transposed-in-one-call
def exit_loss(scores, labels):
    n, exits, _ = scores.shape
    lost = F.cross_entropy(scores.transpose(1, 2), labels[:, None].expand(n, exits), reduction="none")
    weights = torch.linspace(1, exits, exits)
    return (lost @ weights).mean() / weights.sum()


# --- q1 logsumexp-einsum
def exit_loss(scores, labels):
    one_hot = F.one_hot(labels, scores.shape[-1]).to(scores)
    right = torch.einsum("nlc,nc->nl", scores, one_hot)
    each = (torch.logsumexp(scores, -1) - right).sum(0) / len(scores)
    w = torch.tensor([float(l) for l in range(1, len(each) + 1)])
    return (w * each).sum() / w.sum()


# --- q2 loop-over-a-grid
def fit_temperature(scores, labels):
    best, found, tau = math.inf, None, 0.01
    while tau <= 100.0001:
        loss = F.cross_entropy(scores / tau, labels).item()
        if loss < best:
            best, found = loss, tau
        tau *= 1.015
    return found


# --- q2 halving-the-slope
def fit_temperature(scores, labels):
    z, low, high = scores.double(), math.log(0.01), math.log(100)
    for _ in range(60):
        middle = (low + high) / 2
        p = (z * math.exp(middle)).softmax(-1)
        slope = ((p * z).sum(1) - z[torch.arange(len(z)), labels]).mean()
        if slope < 0:
            low = middle
        else:
            high = middle
    return 1 / math.exp(low)


# --- q2 golden-section
def fit_temperature(scores, labels):
    def loss(log_tau):
        return float(F.cross_entropy(scores.double() / math.exp(log_tau), labels))

    a, b, r = math.log(0.01), math.log(100), (math.sqrt(5) - 1) / 2
    c, d = b - r * (b - a), a + r * (b - a)
    fc, fd = loss(c), loss(d)
    while b - a > 1e-4:
        if fc < fd:
            b, d, fd = d, c, fc
            c = b - r * (b - a)
            fc = loss(c)
        else:
            a, c, fc = c, d, fd
            d = a + r * (b - a)
            fd = loss(d)
    return torch.tensor(math.exp((a + b) / 2))


# --- q2 all-temperatures-at-once-in-float32
def fit_temperature(scores, labels):
    taus = torch.logspace(-2, 2, 601)
    z = scores[None] / taus[:, None, None]
    lost = F.cross_entropy(z.flatten(0, 1), labels.repeat(601), reduction="none")
    return taus[lost.view(601, -1).mean(1).argmin()]


# --- q3 loop-over-bins
def gap(scores, labels, bins):
    confidence, answers = scores.softmax(-1).max(-1)
    right = (answers == labels).float()
    total = 0.0
    for b in range(bins):
        mine = (confidence >= b / bins) & (confidence < (b + 1) / bins)
        if b == bins - 1:
            mine = mine | (confidence >= 1)
        if mine.any():
            total += mine.sum() * (confidence[mine].mean() - right[mine].mean()).abs()
    return total / len(labels)


# --- q3 dictionary
def gap(scores, labels, bins):
    found = {}
    for row, label in zip(scores, labels):
        p = row.double().softmax(0)
        sure = float(p.max())
        b = min(int(sure * bins), bins - 1)
        found.setdefault(b, []).append(sure - float(int(p.argmax()) == int(label)))
    return sum(abs(sum(one)) for one in found.values()) / len(labels)


# --- q3 bincount
def gap(scores, labels, bins):
    p = F.softmax(scores, dim=1)
    sure = p.amax(1)
    right = (p.argmax(1) == labels).to(sure)
    place = torch.floor(sure * bins).long().clamp_max(bins - 1)
    a = torch.bincount(place, weights=sure, minlength=bins)
    b = torch.bincount(place, weights=right, minlength=bins)
    return ((a - b).abs().sum() / len(labels)).item()


# --- q3 numpy-digitize
def gap(scores, labels, bins):
    import numpy as np

    p = scores.double().softmax(-1).numpy()
    sure, right = p.max(1), p.argmax(1) == labels.numpy()
    place = np.clip(np.digitize(sure, np.linspace(0, 1, bins + 1)) - 1, 0, bins - 1)
    total = 0.0
    for b in np.unique(place):
        mine = place == b
        total += abs(sure[mine].mean() - right[mine].mean()) * mine.mean()
    return total


# --- q4 in-place-columns
def streaks(answers):
    out = torch.zeros_like(answers)
    for l in range(1, answers.shape[1]):
        same = answers[:, l] == answers[:, l - 1]
        out[:, l] = torch.where(same, out[:, l - 1] + 1, 0)
    return out


def first_exit(may_leave):
    table = may_leave.clone()
    table[:, -1] = True
    return table.to(torch.int32).argmax(1) + 1


# --- q4 python-lists
def streaks(answers):
    rows = []
    for row in answers.tolist():
        streak, out = 0, [0]
        for a, b in zip(row, row[1:]):
            streak = streak + 1 if a == b else 0
            out.append(streak)
        rows.append(out)
    return torch.tensor(rows, dtype=torch.int32)


def first_exit(may_leave):
    exits = []
    for row in may_leave.tolist():
        exits.append(row.index(True) + 1 if True in row else len(row))
    return torch.tensor(exits)


# --- q4 cumulative-maximum
def streaks(answers):
    n = answers.shape[1]
    places = torch.arange(n).expand_as(answers)
    changed = torch.ones_like(answers, dtype=torch.bool)
    changed[:, 1:] = answers[:, 1:] != answers[:, :-1]
    since = torch.where(changed, places, 0).cummax(1).values
    return places - since


def first_exit(may_leave):
    before = (may_leave.int().cumsum(1) == 0).sum(1)
    return (before + 1).clamp(max=may_leave.shape[1])


# --- q4 downwards
def streaks(answers):
    found = [torch.zeros(len(answers), dtype=torch.long)]
    for l in range(1, answers.size(1)):
        found.append((found[-1] + 1) * (answers[:, l] == answers[:, l - 1]).long())
    return torch.stack(found, dim=1)


def first_exit(may_leave):
    n, depth = may_leave.shape
    exits = torch.full((n,), depth)
    for l in range(depth - 1, 0, -1):
        exits[may_leave[:, l - 1]] = l
    return exits


# --- q5 indices-into-everything
def climb(x, real, layers, classifiers, rule):
    who = list(range(len(x)))
    scores_of = [[] for _ in who]
    exits = [0] * len(x)
    for number in range(len(layers)):
        x = layers[number](x, real)
        new = classifiers[number](x)
        for row, example in enumerate(who):
            scores_of[example].append(new[row])
        if number < len(layers) - 1:
            done = rule(torch.stack([torch.stack(scores_of[example]) for example in who])).tolist()
        else:
            done = [True] * len(who)
        for row, example in enumerate(who):
            if done[row]:
                exits[example] = number + 1
        stay = [row for row, gone in enumerate(done) if not gone]
        who = [who[row] for row in stay]
        if not who:
            break
        x, real = x[stay], real[stay]
    return torch.stack([one[-1] for one in scores_of]), torch.tensor(exits)


# --- q5 full-copies-and-a-mask
def climb(x, real, layers, classifiers, rule):
    x, depth = x.clone(), len(layers)
    there = torch.ones(len(x), dtype=torch.bool)
    exits, history = torch.full((len(x),), depth), None
    for number, (layer, classify) in enumerate(zip(layers, classifiers), 1):
        x[there] = layer(x[there], real[there])
        new = classify(x[there])
        if history is None:
            history = new.new_zeros(len(x), depth, new.shape[-1])
        history[there, number - 1] = new
        if number == depth:
            break
        done = rule(history[there, :number])
        rows = there.nonzero().flatten()[done]
        exits[rows] = number
        there[rows] = False
        if not there.any():
            break
    return history[torch.arange(len(x)), exits - 1], exits


# --- q5 recursion
def climb(x, real, layers, classifiers, rule):
    def up(x, real, scores, number):
        x = layers[number](x, real)
        new = classifiers[number](x).unsqueeze(1)
        scores = torch.cat([scores, new], dim=1) if scores is not None else new
        found, exits = scores[:, -1].clone(), torch.full((len(x),), number + 1)
        if number + 1 < len(layers):
            stay = ~rule(scores)
            if stay.any():
                found[stay], exits[stay] = up(x[stay], real[stay], scores[stay], number + 1)
        return found, exits

    return up(x, real, None, 0)


# --- q5 collects-and-sorts-back
def climb(x, real, layers, classifiers, rule):
    who, left, numbers, order, scores = torch.arange(len(x)), [], [], [], []
    for k in range(len(layers)):
        x = layers[k](x, real)
        scores.append(classifiers[k](x))
        last = k == len(layers) - 1
        done = torch.ones(len(x)).bool() if last else rule(torch.stack(scores, dim=1))
        left.append(scores[-1][done])
        order.append(who[done])
        numbers.append(torch.full_like(who[done], k + 1))
        stay = (~done).nonzero().squeeze(1)
        if len(stay) == 0:
            break
        x, real, who = x[stay], real[stay], who[stay]
        scores = [one[stay] for one in scores]
    back = torch.cat(order).argsort()
    return [torch.cat(left)[back], torch.cat(numbers)[back]]


# --- q6 python
def shares(exits, n_layers, batch):
    values, waiting = exits.tolist(), 0
    for start in range(0, len(values), batch):
        part = values[start : start + batch]
        waiting += max(part) * len(part)
    return sum(values) / len(values) / n_layers, waiting / len(values) / n_layers


# --- q6 everybody-as-late-as-the-last
def shares(exits, n_layers, batch):
    late = torch.cat([part.max().expand(len(part)) for part in exits.split(batch)])
    return exits.double().mean() / n_layers, late.double().mean() / n_layers


# --- q6 padded-table
def shares(exits, n_layers, batch):
    n = exits.numel()
    rows = math.ceil(n / batch)
    table = F.pad(exits, (0, rows * batch - n)).view(rows, batch)
    counts = (table > 0).sum(1)
    waiting = (table.max(1).values * counts).sum().item()
    return [exits.sum().item() / (n * n_layers), waiting / (n * n_layers)]


# --- q7 python-lists
def conformal_threshold(scores, agrees, tolerance, drop_consistent=False):
    if tolerance <= 0 or tolerance >= 1:
        raise ValueError("tolerance must be between 0 and 1")
    found = []
    for row, same in zip(scores.tolist(), agrees.tolist()):
        wrong = [s for s, a in zip(row, same) if not a]
        if wrong:
            found.append(max(wrong))
        elif not drop_consistent:
            found.append(float("-inf"))
    k = math.ceil((len(found) + 1) * (1 - tolerance))
    if k > len(found):
        raise ValueError(f"need more than {len(found)} examples")
    return sorted(found)[k - 1]


# --- q7 kthvalue
def conformal_threshold(scores, agrees, tolerance, drop_consistent=False):
    if not 0.0 < tolerance < 1.0:
        raise ValueError(f"tolerance {tolerance}")
    mu = torch.where(agrees, torch.tensor(-math.inf), scores).max(dim=1).values
    if drop_consistent:
        mu = mu[(~agrees).any(dim=1)]
    n = mu.numel()
    rank = n + 1 - math.floor((n + 1) * tolerance)
    if rank > n:
        raise ValueError("too few examples")
    return torch.kthvalue(mu, rank).values


# --- q7 counted-from-the-top
def conformal_threshold(scores, agrees, tolerance, drop_consistent=False):
    if not (tolerance > 0 and tolerance < 1):
        raise ValueError("a tolerance is a share")
    rows = ~agrees.all(1) if drop_consistent else slice(None)
    mu = (scores + torch.zeros_like(scores).masked_fill(agrees, -math.inf)).amax(1)[rows]
    above = int((len(mu) + 1) * tolerance)
    if above < 1:
        raise ValueError(f"{len(mu)} examples are too few")
    largest = mu.sort(descending=True).values
    return float(largest[above - 1])


# --- q7 numpy
def conformal_threshold(scores, agrees, tolerance, drop_consistent=False):
    import numpy as np

    if not 0 < tolerance < 1:
        raise ValueError("tolerance")
    mu = np.where(agrees.numpy(), -np.inf, scores.numpy()).max(axis=1)
    if drop_consistent:
        mu = mu[~agrees.numpy().all(axis=1)]
    rank = int(np.ceil((mu.size + 1) * (1 - tolerance)))
    if rank > mu.size:
        raise ValueError("too few")
    return np.sort(mu)[rank - 1]


# --- q8 example-by-example
def audit(scores, agrees, find, size, draws, generator):
    n, shares = len(scores), []
    for _ in range(draws):
        order = torch.randperm(n, generator=generator).tolist()
        theta = find(scores[order[:size]], agrees[order[:size]])
        differ = 0
        for i in order[size:]:
            for s, a in zip(scores[i].tolist(), agrees[i].tolist()):
                if s > float(theta):
                    differ += not a
                    break
        shares.append(differ / (n - size))
    return torch.tensor(shares)


# --- q8 masks-from-random-numbers
def audit(scores, agrees, find, size, draws, generator):
    out = torch.zeros(draws)
    for d in range(draws):
        chosen = torch.rand(len(scores), generator=generator).topk(size).indices
        test = torch.ones(len(scores), dtype=torch.bool)
        test[chosen] = False
        may = scores[test] > find(scores[chosen], agrees[chosen])
        earlier = may.cumsum(1) - may.int()
        first = may & (earlier == 0)
        out[d] = (first & ~agrees[test]).any(1).float().mean()
    return out


# --- q8 multinomial
def audit(scores, agrees, find, size, draws, generator):
    n, exits = scores.shape
    weights, found = torch.ones(n), []
    for _ in range(draws):
        ours = torch.multinomial(weights, size, replacement=False, generator=generator)
        theta = find(scores[ours], agrees[ours])
        rest = sorted(set(range(n)) - set(ours.tolist()))
        wrong = torch.zeros(len(rest), dtype=torch.bool)
        for l in range(exits - 1, -1, -1):  # lower exits have the last word
            wrong = torch.where(scores[rest, l] > theta, ~agrees[rest, l], wrong)
        found.append(wrong.double().mean())
    return torch.stack(found)


# --- q9 one-number-at-a-time
def some_layers(x, layers, p, training, generator):
    for layer in layers:
        if training and torch.rand(1, generator=generator).item() < p:
            continue
        x = layer(x)
    return x


def every_other(n_layers, keep):
    if keep < 1 or keep > n_layers:
        raise ValueError("no such number of layers")
    return [n_layers * i // keep for i in range(keep)]


# --- q9 bernoulli
def some_layers(x, layers, p, training, generator):
    if not training:
        for layer in layers:
            x = layer(x)
        return x
    gone = torch.bernoulli(torch.full((len(layers),), float(p)), generator=generator).bool()
    for layer, out in zip(layers, gone):
        x = x if out else layer(x)
    return x


def every_other(n_layers, keep):
    if keep not in range(1, n_layers + 1):
        raise ValueError(f"keep={keep}")
    return [math.floor(i * n_layers / keep) for i in range(keep)]


# --- q9 reduce
def some_layers(x, layers, p, training, generator):
    from functools import reduce

    draws = torch.rand(len(layers), generator=generator) if training else torch.ones(len(layers))
    kept = [layers[n] for n in (draws >= (p if training else 0)).nonzero().flatten().tolist()]
    return reduce(lambda state, layer: layer(state), kept, x)


def every_other(n_layers, keep):
    if not 0 < keep <= n_layers:
        raise ValueError("keep")
    return torch.div(torch.arange(keep) * n_layers, keep, rounding_mode="floor")
