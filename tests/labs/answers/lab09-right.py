import math

import numpy as np

# --- q1 list
def encode(text):
    return [b + 3 for b in text.encode("utf-8")] + [1]

# --- q1 torch
def encode(text):
    b = torch.tensor(list(text.encode()), dtype=torch.int64) + 3
    return torch.cat([b, torch.tensor([1])]).tolist()

# --- q1 numpy-ints
def encode(text):
    return [*(np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64) + 3), 1]

# --- q1 character-by-character
def encode(text):
    ids = []
    for character in text:
        for byte in bytearray(character, "utf-8"):
            ids.append(byte + 3)
    ids.append(1)
    return ids

# --- q1 map
def encode(text):
    return list(map((3).__add__, text.encode())) + [1]

# --- q2 checks-everything-first
def decode(ids):
    for i in ids:
        if not 0 <= i <= 258:
            raise ValueError(f"id {i} is outside 0 to 258")
    out = bytearray()
    for i in ids:
        if i == 1:
            break
        if i >= 3:
            out.append(i - 3)
    return out.decode("utf-8", errors="replace")

# --- q2 index
def decode(ids):
    ids = list(ids)
    if any(i < 0 or i > 258 for i in ids):
        raise ValueError("ids must be 0 to 258")
    ids = ids[: ids.index(1)] if 1 in ids else ids
    return str(bytes(i - 3 for i in ids if i > 2), "utf-8", "replace")

# --- q2 takewhile
def decode(ids):
    import itertools

    read = list(itertools.takewhile(lambda i: i != 1, ids))
    if read and (min(read) < 0 or max(read) > 258):
        raise ValueError("an id is not in 0 ... 258")
    return bytes([i - 3 for i in read if i not in (0, 2)]).decode(errors="replace")

# --- q2 range
def decode(ids):
    data = b""
    for i in ids:
        if i not in range(259):
            raise ValueError(i)
        if i == 1:
            return data.decode("utf-8", "replace")
        data += bytes([i - 3]) if i > 2 else b""
    return data.decode("utf-8", "replace")

# --- q3 while
def merge(parts, pair):
    out, i = [], 0
    while i < len(parts):
        if i + 1 < len(parts) and (parts[i], parts[i + 1]) == tuple(pair):
            out.append(parts[i] + parts[i + 1])
            i += 2
        else:
            out.append(parts[i])
            i += 1
    return out


def cut(word, merges):
    parts = [bytes([b]) for b in word.encode()]
    for p in merges:
        parts = merge(parts, p)
    return parts

# --- q3 lowest-rank-first
def merge(parts, pair):
    out, skip = [], False
    for i, p in enumerate(parts):
        if skip:
            skip = False
            continue
        if p == pair[0] and i + 1 < len(parts) and parts[i + 1] == pair[1]:
            out.append(pair[0] + pair[1])
            skip = True
        else:
            out.append(p)
    return out


def cut(word, merges):
    ranks = {p: i for i, p in enumerate(merges)}
    parts = [bytes([b]) for b in word.encode()]
    while len(parts) > 1:
        best = min(zip(parts, parts[1:]), key=lambda p: ranks.get(p, math.inf))
        if best not in ranks:
            break
        parts = merge(parts, best)
    return parts

# --- q3 recursion
def merge(parts, pair):
    if len(parts) < 2:
        return list(parts)
    if parts[0] == pair[0] and parts[1] == pair[1]:
        return [b"".join(pair), *merge(parts[2:], pair)]
    return [parts[0], *merge(parts[1:], pair)]


def cut(word, merges):
    import functools

    data = word.encode("utf-8")
    return functools.reduce(merge, merges, [data[i : i + 1] for i in range(len(data))])

# --- q3 generator
def merge(parts, pair):
    def walk():
        rest = iter(parts)
        held = next(rest, None)
        while held is not None:
            after = next(rest, None)
            if after is not None and (held, after) == pair:
                yield held + after
                held = next(rest, None)
            else:
                yield held
                held = after

    return list(walk())


def cut(word, merges):
    parts = [bytes((b,)) for b in word.encode()]
    for left, right in merges:
        parts = merge(parts, (left, right))
    return parts

# --- q3 deletes-from-a-copy
def merge(parts, pair):
    parts, i = list(parts), 0
    while i + 1 < len(parts):
        if parts[i] == pair[0] and parts[i + 1] == pair[1]:
            parts[i] += parts.pop(i + 1)
        i += 1
    return parts


def cut(word, merges):
    parts = [bytes([b]) for b in word.encode()]
    for p in list(merges):
        parts = merge(parts, p)
    return parts

# --- q4 unflatten-and-permute
def patches(x, patch):
    c, *sides = x.shape
    if any(s % patch for s in sides):
        raise ValueError("sides must be multiples of patch")
    a = len(sides)
    for i in range(a):
        x = x.unflatten(1 + 2 * i, (-1, patch))
    x = x.permute(*[1 + 2 * i for i in range(a)], 0, *[2 + 2 * i for i in range(a)])
    return x.flatten(0, a - 1).flatten(1)

# --- q4 unfold
def patches(x, patch):
    n = x.dim() - 1
    if any(s % patch != 0 for s in x.shape[1:]):
        raise ValueError
    for a in range(1, n + 1):
        x = x.unfold(a, patch, patch)
    x = x.movedim(0, n)
    return x.reshape(math.prod(x.shape[:n]), -1)

# --- q4 loop
def patches(x, patch):
    import itertools

    for side in x.shape[1:]:
        if side % patch:
            raise ValueError(f"{side} is not a multiple of {patch}")
    out = []
    for corner in itertools.product(*[range(0, s, patch) for s in x.shape[1:]]):
        block = x
        for axis, start in enumerate(corner, 1):
            block = block.narrow(axis, start, patch)
        out.append(block.reshape(-1))
    return torch.stack(out)

# --- q4 einops
def patches(x, patch):
    from einops import rearrange

    if any(side % patch for side in x.shape[1:]):
        raise ValueError("not a multiple")
    if x.ndim == 3:
        return rearrange(x, "c (h p) (w q) -> (h w) (c p q)", p=patch, q=patch)
    return rearrange(x, "c (h p) (d q) (w r) -> (h d w) (c p q r)", p=patch, q=patch, r=patch)

# --- q4 numpy
def patches(x, patch):
    a = x.numpy()
    if any(s % patch for s in a.shape[1:]):
        raise ValueError("sides")
    axes = a.ndim - 1
    shape = [a.shape[0]]
    for s in a.shape[1:]:
        shape += [s // patch, patch]
    order = [*range(1, 2 * axes, 2), 0, *range(2, 2 * axes + 1, 2)]
    b = a.reshape(shape).transpose(order)
    return torch.from_numpy(np.ascontiguousarray(b).reshape(-1, a.shape[0] * patch**axes))

# --- q4 fold-for-pictures
def patches(x, patch):
    if any(side % patch for side in x.shape[1:]):
        raise ValueError("not a multiple")
    if x.ndim == 3:
        return F.unfold(x[None], patch, stride=patch)[0].T
    rows = [patches(block.flatten(0, 1), patch) for block in x.split(patch, dim=1)]
    return torch.cat([patches_of_a_slab(block, patch) for block in x.split(patch, dim=1)])


def patches_of_a_slab(slab, patch):
    out = []
    for d in range(0, slab.shape[2], patch):
        for w in range(0, slab.shape[3], patch):
            out.append(slab[:, :, d : d + patch, w : w + patch].flatten())
    return torch.stack(out)

# --- q5 unfold
def spectrogram(wave, window, hop):
    if len(wave) < window:
        raise ValueError("the sound is shorter than one window")
    return torch.fft.rfft(wave.unfold(0, window, hop) * torch.hann_window(window)).abs()

# --- q5 stft
def spectrogram(wave, window, hop):
    if wave.shape[0] < window:
        raise ValueError("too short")
    soft = torch.hann_window(window)
    s = torch.stft(wave, window, hop, window=soft, center=False, return_complex=True)
    return s.abs().T

# --- q5 loop
def spectrogram(wave, window, hop):
    soft = torch.hann_window(window)
    frames = []
    start = 0
    while start + window <= len(wave):
        frames.append(torch.fft.rfft(soft * wave[start : start + window]))
        start += hop
    if not frames:
        raise ValueError("no whole frame")
    z = torch.stack(frames)
    return torch.sqrt(z.real**2 + z.imag**2)

# --- q5 numpy
def spectrogram(wave, window, hop):
    samples = wave.numpy()
    if samples.size < window:
        raise ValueError("too short")
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    return torch.from_numpy(np.abs(np.fft.rfft(frames * torch.hann_window(window).numpy(), axis=-1)))

# --- q5 index-and-matrix
def spectrogram(wave, window, hop):
    count = (len(wave) - window) // hop + 1
    if count < 1:
        raise ValueError("too short")
    index = torch.arange(count)[:, None] * hop + torch.arange(window)
    frames = wave[index].double() * torch.hann_window(window).double()
    angle = 2 * math.pi * torch.outer(torch.arange(window), torch.arange(window // 2 + 1)) / window
    return torch.hypot(frames @ angle.double().cos(), frames @ angle.double().sin())

# --- q6 plain
def picture_tokens(height, width, patch):
    return (height // patch) * (width // patch)


def sound_tokens(samples, window, hop):
    return max(0, (samples - window) // hop + 1)


def file_pairs(n_bytes, stride, n_layers, merge_after, window):
    n = -(-n_bytes // stride)
    total = 0
    for layer in range(1, n_layers + 1):
        total += n * min(n, 2 * window + 1)
        if layer in merge_after:
            n = -(-n // 2)
    return total

# --- q6 ceil-and-ranges
def picture_tokens(height, width, patch):
    return len(range(0, height, patch)) * len(range(0, width, patch))


def sound_tokens(samples, window, hop):
    return len(range(0, samples - window + 1, hop))


def file_pairs(n_bytes, stride, n_layers, merge_after, window):
    n = math.ceil(n_bytes / stride)
    lengths = []
    for layer in range(n_layers):
        lengths.append(n)
        n = math.ceil(n / 2) if layer + 1 in set(merge_after) else n
    return sum(n * min(n, 2 * window + 1) for n in lengths)

# --- q6 recursion
def picture_tokens(height, width, patch):
    return height * width // patch**2


def sound_tokens(samples, window, hop):
    return 0 if samples < window else 1 + sound_tokens(samples - hop, window, hop)


def file_pairs(n_bytes, stride, n_layers, merge_after, window):
    def left(layer):
        if layer == 1:
            return (n_bytes + stride - 1) // stride
        n = left(layer - 1)
        return (n + 1) // 2 if layer - 1 in merge_after else n

    return sum(left(i) * min(left(i), 1 + 2 * window) for i in range(1, n_layers + 1))

# --- q7 einsum
def join_bytes(vectors, padding, weight, stride):
    b, n, d = vectors.shape
    k = weight.shape[0]
    t = -(-n // stride)
    x = vectors * padding[..., None]
    x = F.pad(x, (0, 0, 0, max(0, (t - 1) * stride + k - n)))
    st = x.unfold(1, k, stride)[:, :t]
    return torch.einsum("btdk,kde->bte", st, weight), padding[:, ::stride]

# --- q7 loop-over-places
def join_bytes(vectors, padding, weight, stride):
    b, n, d = vectors.shape
    k, _, e = weight.shape
    t = -(-n // stride)
    x = torch.where(padding.unsqueeze(-1), vectors, torch.zeros(()))
    out = torch.zeros(b, t, e)
    for j in range(k):
        xs = x[:, j::stride]
        out[:, : xs.shape[1]] += (xs @ weight[j])[:, :t]
    return out, padding[:, ::stride].clone()

# --- q7 convolution
def join_bytes(vectors, padding, weight, stride):
    n, k = vectors.shape[1], len(weight)
    t = (n + stride - 1) // stride
    x = F.pad(vectors.masked_fill(~padding[:, :, None], 0).mT, (0, k + stride))
    y = F.conv1d(x, weight.permute(2, 1, 0), stride=stride)[:, :, :t]
    return y.mT, padding[:, range(0, n, stride)]

# --- q7 token-by-token
def join_bytes(vectors, padding, weight, stride):
    batch, length, _ = vectors.shape
    k = weight.shape[0]
    files = []
    for b in range(batch):
        tokens = []
        for start in range(0, length, stride):
            total = torch.zeros(weight.shape[2])
            for j in range(min(k, length - start)):
                if padding[b, start + j]:
                    total = total + vectors[b, start + j] @ weight[j]
            tokens.append(total)
        files.append(torch.stack(tokens))
    return [torch.stack(files), torch.stack([p[::stride] for p in padding])]

# --- q7 index
def join_bytes(vectors, padding, weight, stride):
    batch, length, d = vectors.shape
    k = weight.shape[0]
    starts = torch.arange(0, length, stride)
    index = starts[:, None] + torch.arange(k)
    inside = (index < length) & padding[:, index.clamp(max=length - 1)]
    grams = vectors[:, index.clamp(max=length - 1)] * inside[..., None]
    return grams.flatten(2) @ weight.flatten(0, 1), padding[:, starts]

# --- q8 plain
def accuracy_by_rate(classify, texts, labels, mistype, rates):
    if not texts:
        raise ValueError("no texts")
    out = []
    for rate in rates:
        got = classify([mistype(t, rate, random.Random(i)) for i, t in enumerate(texts)])
        out.append(sum(int(a == b) for a, b in zip(got, labels)) / len(labels))
    return out

# --- q8 prepared
def accuracy_by_rate(classify, texts, labels, mistype, rates):
    n = len(texts)
    if n < 1:
        raise ValueError("there must be at least one text")
    noisy = {r: [mistype(t, r, random.Random(i)) for i, t in enumerate(texts)] for r in rates}
    return [sum(p == l for p, l in zip(classify(noisy[r]), labels)) / n for r in rates]

# --- q8 numpy
def accuracy_by_rate(classify, texts, labels, mistype, rates):
    if len(texts) == 0:
        raise ValueError("texts")

    def one(rate):
        sources = map(random.Random, range(len(texts)))
        typed = [mistype(text, rate, source) for text, source in zip(texts, sources)]
        return float(np.mean(np.array(classify(typed)) == np.array(labels)))

    return [one(rate) for rate in rates]

# --- q8 torch
def accuracy_by_rate(classify, texts, labels, mistype, rates):
    if not len(texts):
        raise ValueError("accuracy of nothing")
    shares = []
    for rate in rates:
        typed = []
        for place in range(len(texts)):
            source = random.Random()
            source.seed(place)
            typed.append(mistype(texts[place], rate, source))
        right = torch.tensor(classify(typed)) == torch.tensor(labels)
        shares.append(right.double().mean().item())
    return shares
