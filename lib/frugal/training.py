"""One training loop for the whole book: seeds, a schedule, a time budget, a history, a file.

AdamW with linear warm-up and a cosine decay to a tenth of the peak rate, gradients clipped by
their global norm. The loop trains anything with parameters; what a batch is, and what its loss
is, stays with the caller.
Chapters: every one, in the section Learn.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from frugal import checkpoints as on_disk
from frugal.checkpoints import File, Supply
from frugal.checks import at_least, check_function, given, installed, instance_of, whole
from frugal.modes import modes_put_back

if TYPE_CHECKING:
    import altair

Batch = Any
"""A tensor, or a tuple, list, mapping or dataclass of tensors, nested as you like."""

Batches = Iterable[Batch] | Callable[[int, torch.Generator], Batch]

FINAL_RATE = 0.1
"""The cosine ends at this share of the peak learning rate."""


class TrainingDiverged(FloatingPointError):
    """The loss or the gradient stopped being finite; `history` holds what came before."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


@dataclasses.dataclass
class History:
    """What a training run did.

    steps: updates made. losses: the training loss of each update, measured before that update.
    learning_rates: the learning rate of each update. evaluations: one dict an evaluation: `step`
    (updates made by then) and its metrics. seconds: wall-clock seconds spent training; evaluations
    are not counted. stopped: `"steps"` or `"seconds"`, whichever budget ended the run.
    checkpoints: copies of the model's `state_dict` on the CPU, keyed by updates made.
    """

    steps: int = 0
    losses: list[float] = dataclasses.field(default_factory=list, repr=False)
    learning_rates: list[float] = dataclasses.field(default_factory=list, repr=False)
    evaluations: list[dict[str, float]] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    stopped: Literal["steps", "seconds"] = "steps"
    checkpoints: dict[int, dict[str, Tensor]] = dataclasses.field(default_factory=dict, repr=False)

    def to_frame(self) -> pd.DataFrame:
        """One row an update: step, loss, learning_rate, and each metric where it was evaluated."""
        frame = pd.DataFrame(
            {
                "step": range(1, self.steps + 1),
                "loss": self.losses,
                "learning_rate": self.learning_rates,
            }
        )
        if not self.evaluations:
            return frame
        return frame.merge(pd.DataFrame(self.evaluations), on="step", how="left")

    def plot(self, *, smoothing: int = 20, title: str = "") -> altair.LayerChart:
        """The loss, its running mean over `smoothing` updates, and every metric (needs Altair).

        Returns an Altair chart: the loss on the left axis, metrics, dashed, on the right one.
        """
        alt = installed("altair", extra="figures")

        frame = self.to_frame()
        frame["running mean"] = frame["loss"].rolling(smoothing, min_periods=1).mean()
        final = frame["running mean"].iloc[-1] if self.steps else math.nan
        step = alt.X("step:Q", title="update", scale=alt.Scale(domain=[0, max(1, self.steps)]))
        base = alt.Chart(frame).encode(x=step)
        raw = base.mark_line(opacity=0.35, strokeWidth=1).encode(
            y=alt.Y("loss:Q", title="training loss")
        )
        mean = base.mark_line(strokeWidth=2).encode(
            y=alt.Y("running mean:Q", title="training loss"), tooltip=["step", "loss"]
        )
        picture = raw + mean
        if self.evaluations:
            metrics = pd.DataFrame(self.evaluations).melt("step", var_name="metric")
            evaluated = (
                alt.Chart(metrics)
                .mark_line(point=True, strokeDash=[5, 3])
                .encode(
                    x=step,
                    y=alt.Y(
                        "value:Q", title="evaluated", axis=alt.Axis(orient="right", grid=False)
                    ),
                    color=alt.Color("metric:N", title=None, legend=alt.Legend(orient="top")),
                    tooltip=["metric", "step", alt.Tooltip("value", format=".4g")],
                )
            )
            picture = alt.layer(picture, evaluated).resolve_scale(y="independent")
        return picture.properties(
            width="container",
            height=220,
            title=title,
            description=f"Training loss over {self.steps} updates; it ends near {final:.3g}.",
        )


def train(
    model: nn.Module,
    batches: Batches,
    loss: Callable[[nn.Module, Batch], Tensor],
    *,
    steps: int,
    lr: float | int = 3e-3,
    warmup: int = 100,
    weight_decay: float | int = 0.0,
    betas: tuple[float, float] = (0.9, 0.98),
    clip: float | int | None = 1.0,
    seed: int = 0,
    device: torch.device | str | None = None,
    seconds: float | int | None = None,
    evaluate: Callable[[nn.Module], Mapping[str, float]] | None = None,
    every: int = 100,
    checkpoints: Sequence[int] = (),
    autocast: torch.dtype | None = None,
    progress: bool = True,
    accumulate: int = 1,
    callback: Callable[[History], None] | None = None,
    save: File | None = None,
    save_every: int | None = None,
    resume: File | None = None,
) -> History:
    """Train `model` in place and return its `History`.

    model: trained where it is, or on `device` if given. It is in training mode during the run and
    afterwards in the mode it came in. batches: an iterable of batches (a list or data loader starts
    again when it ends, an iterator must last), or a callable `(step, generator) -> batch` that is
    called with step = 0, 1, ... and a CPU generator seeded with `seed`. Batches are moved to the
    model's device. loss: `(model, batch) -> scalar tensor` to minimise. steps: updates to make.
    The schedule is laid out over them. lr: peak learning rate, reached after `warmup` updates (at
    most half of `steps`). weight_decay: decoupled, on matrices only; biases and norms are left
    alone. clip: largest global norm of the gradient; None leaves it as it is. seed: seeds every
    torch generator for the run. The caller's generators are put back afterwards, so calling
    `train` leaves their state as it found it. seconds: wall-clock budget of training; the run
    ends cleanly after the update during which it is spent, wherever the schedule is by then.
    evaluate: `model -> {metric: value}`, called without gradients in evaluation mode every
    `every` updates and after the last. It draws from its own copy of the random state, so that
    evaluating more often changes no weight, and its time is not counted. checkpoints: numbers of
    updates after which to keep a copy of the weights; 0 is the start. autocast: `torch.bfloat16`
    to compute the loss in mixed precision. progress: show a progress bar (unless TQDM_DISABLE
    is set, as it is while the site is built). accumulate: batches that one update takes, one after
    the other; their losses and gradients are averaged. callback: called with the history after
    every update, evaluations included; what it raises ends the run.

    save: a file in which the run is kept, written after every `save_every` updates (`every` when
    None) and after the last. A process that is killed leaves the file of the time before.
    resume: such a file; the run goes on where the file ends, with the weights, the optimizer, the
    schedule, the batches and the random numbers of then. Losses and weights equal those of a run
    that was never stopped, bit for bit on one CPU. Give the same model, batches and arguments;
    `seconds`, `evaluate`, `every`, `callback` and what is kept may be others. Of an iterable, the
    batches of the round that were used are drawn and passed over. Random numbers that do not come
    from torch, numpy's say, are the caller's to restore. `torch.load(save)["model"]` is the
    model's `state_dict`.

    The same seed, model and batches give the same history bit for bit on one CPU.

    Raises ValueError: an argument is out of range, the batches ran out, the loss is no scalar, or
    the file is none of a run with this model and these arguments.
    TrainingDiverged: the loss or its gradient is not finite. The weights are those before the
    update that failed, and the exception carries the history.
    """
    instance_of(nn.Module, model=model)
    whole(steps=steps, warmup=warmup, every=every, seed=seed)
    _check_numbers(lr=lr, weight_decay=weight_decay, **given(clip=clip, seconds=seconds))
    _check_arguments(steps, lr, warmup, clip, seconds, every, checkpoints, autocast)
    _check_betas(betas)
    check_function(loss=loss, **given(evaluate=evaluate, callback=callback))
    if not callable(batches) and not isinstance(batches, Iterable):
        raise ValueError(
            f"batches is {batches!r}; it must be a list, a data loader, or a callable (step, "
            "generator) -> batch."
        )
    at_least(1, accumulate=accumulate)
    save_every = every if save_every is None else save_every
    at_least(1, save_every=save_every)
    # plain numbers: a file with numpy's would be refused when it is read
    steps, warmup, seed = int(steps), int(warmup), int(seed)
    lr, weight_decay, betas = float(lr), float(weight_decay), (float(betas[0]), float(betas[1]))
    settings = {
        "steps": steps,
        "lr": lr,
        "warmup": warmup,
        "weight_decay": weight_decay,
        "betas": list(betas),
        "clip": None if clip is None else float(clip),
        "seed": seed,
        "autocast": None if autocast is None else str(autocast),
        "accumulate": int(accumulate),
    }
    kept = None if resume is None else on_disk.read(resume)
    if kept is not None:
        on_disk.check_same(resume, kept["settings"], settings)
    if device is not None:
        model.to(device)
    weights = [p for p in model.parameters() if p.requires_grad]
    if not weights:
        raise ValueError("model has no parameter that needs a gradient; nothing can be trained.")
    device = weights[0].device
    history = History()

    with _seeded(seed, device), modes_put_back(model):
        if not model.training:
            model.train()
        optimizer = _adamw(weights, lr, betas, weight_decay)
        warmup = min(warmup, steps // 2)
        supply = Supply(batches, seed)
        if kept is not None:
            on_disk.load_weights(model, kept["model"], resume)
            optimizer.load_state_dict(kept["optimizer"])
            vars(history).update(kept["history"], stopped="steps")
            supply.go_to(kept["batches"])
            on_disk.set_random_state(kept["random"], model, device)
        elif 0 in checkpoints:
            history.checkpoints[0] = _copy_of_weights(model)
        quiet = {} if progress else {"disable": True}  # else the TQDM_DISABLE of the site's build
        bar = tqdm(total=steps, initial=history.steps, leave=False, desc="training", **quiet)
        try:
            for step in range(history.steps, steps):
                began = time.perf_counter()
                rate = lr * learning_rate_share(step, steps=steps, warmup=warmup)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                taken = (move(supply.next_one(), device) for _ in range(accumulate))
                value = _update(
                    model, taken, accumulate, loss, optimizer, weights, clip, autocast, history
                )
                history.steps = step + 1
                history.losses.append(value)
                history.learning_rates.append(rate)
                history.seconds += time.perf_counter() - began

                spent = seconds is not None and history.seconds >= seconds
                if spent and history.steps < steps:
                    history.stopped = "seconds"
                last = spent or history.steps == steps
                if evaluate and (last or history.steps % every == 0):
                    metrics = _evaluate(model, evaluate, seed, device)
                    history.evaluations.append({"step": history.steps, **metrics})
                    bar.set_postfix(metrics, refresh=False)
                elif not evaluate:
                    bar.set_postfix(loss=value, refresh=False)
                if history.steps in checkpoints:
                    history.checkpoints[history.steps] = _copy_of_weights(model)
                if save is not None and (last or history.steps % save_every == 0):
                    state = {
                        "format": on_disk.FORMAT,
                        "settings": settings,
                        "model": model.state_dict(),
                        "optimizer": optimizer.state_dict(),
                        "history": {f.name: getattr(history, f.name) for f in _FIELDS},
                        "batches": supply.place(),
                        "random": on_disk.random_state(model, device),
                    }
                    on_disk.write(save, state)
                bar.update()
                if callback is not None:
                    callback(history)
                if last:
                    break
        finally:
            bar.close()
    return history


def learning_rate_share(step: int, *, steps: int, warmup: int) -> float:
    """Share of the peak learning rate at update `step` (from 0): linear up, then a cosine."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, steps - warmup)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * done))


def move(batch: Batch, device: torch.device | str) -> Batch:
    """`batch` with every tensor in it on `device`; what is no tensor stays as it is."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: move(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(move(value, device) for value in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(move(value, device) for value in batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        moved = copy.copy(batch)
        for field in dataclasses.fields(batch):
            # a frozen dataclass forbids plain assignment
            object.__setattr__(moved, field.name, move(getattr(batch, field.name), device))
        return moved
    return batch


def _check_numbers(**numbers: Any) -> None:
    """What is to be a number is one."""
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ValueError(f"{name} is {value!r}; it must be a number.")
    if not 0 <= numbers["weight_decay"] < math.inf:
        raise ValueError(
            f"weight_decay is {numbers['weight_decay']}; it must be 0 or more, and finite."
        )


def _check_betas(betas: Any) -> None:
    """The shares of the past in the two means that Adam keeps."""
    pair = isinstance(betas, Sequence) and len(betas) == 2
    if not pair or not all(isinstance(one, Real) and 0 <= one < 1 for one in betas):
        raise ValueError(f"betas is {betas!r}; it must be two numbers from 0 to below 1.")


def _check_arguments(
    steps: int,
    lr: float | int,
    warmup: int,
    clip: float | int | None,
    seconds: float | int | None,
    every: int,
    checkpoints: Sequence[int],
    autocast: torch.dtype | None,
) -> None:
    if steps < 1:
        raise ValueError(f"steps is {steps}; training needs at least 1.")
    if not 0 < lr < math.inf:
        raise ValueError(f"lr is {lr}; a learning rate must be positive.")
    if warmup < 0:
        raise ValueError(f"warmup is {warmup}; it must be 0 or more updates.")
    if clip is not None and not clip > 0:
        raise ValueError(f"clip is {clip}; it must be a positive norm, or None.")
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds is {seconds}; a time budget must be positive, or None.")
    if every < 1:
        raise ValueError(f"every is {every}; it must be 1 update or more.")
    if isinstance(checkpoints, str) or not isinstance(checkpoints, Sequence):
        raise ValueError(f"checkpoints is {checkpoints!r}; it must be a list of updates.")
    outside = [c for c in checkpoints if not isinstance(c, Integral) or not 0 <= c <= steps]
    if outside:
        raise ValueError(f"checkpoints has {outside[0]!r}; it must lie in 0..{steps}.")
    if autocast not in (None, torch.bfloat16):
        raise ValueError(f"autocast is {autocast}; only torch.bfloat16 or None is supported.")


_FIELDS = dataclasses.fields(History)


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch inside, and put the caller's random state back afterwards."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield


def _adamw(
    weights: list[nn.Parameter],
    lr: float | int,
    betas: tuple[float, float],
    weight_decay: float | int,
) -> torch.optim.AdamW:
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=betas)


def _update(
    model: nn.Module,
    batches: Iterable[Batch],
    accumulate: int,
    loss: Callable[[nn.Module, Batch], Tensor],
    optimizer: torch.optim.Optimizer,
    weights: list[nn.Parameter],
    clip: float | int | None,
    autocast: torch.dtype | None,
    history: History,
) -> float:
    device = weights[0].device
    precision = torch.autocast(device.type, autocast) if autocast else nullcontext()
    optimizer.zero_grad(set_to_none=True)
    number, at = 0.0, f"at update {history.steps + 1}"
    for batch in batches:
        with precision:
            value = loss(model, batch)
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"loss returned {got}; it must return one number with a gradient.")
        number += value.item() / accumulate
        if not math.isfinite(number):
            raise TrainingDiverged(
                f"the loss is {number} {at}: lower lr, or look for a division by zero", history
            )
        (value if accumulate == 1 else value / accumulate).backward()
    limit = math.inf if clip is None else clip
    norm = nn.utils.clip_grad_norm_(weights, limit).item()
    if not math.isfinite(norm):
        raise TrainingDiverged(
            f"the gradient's norm is {norm} {at} though the loss is {number:.4g}: "
            "lower lr, or look for a square root or a logarithm of zero",
            history,
        )
    optimizer.step()
    return number


def _evaluate(
    model: nn.Module,
    evaluate: Callable[[nn.Module], Mapping[str, float]],
    seed: int,
    device: torch.device,
) -> dict[str, float]:
    with modes_put_back(model), torch.no_grad(), _seeded(seed, device):
        model.eval()
        return {name: float(value) for name, value in evaluate(model).items()}


def _copy_of_weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
