"""A call for every public callable of `frugal.decoding`; `tests.devices` says how."""

from torch import Tensor, nn

from frugal import decoding, model
from frugal.decoding import by_layer, distillation, early, speculation
from frugal.decoding import parallel as nonautoregressive
from tests.devices import CONFIG, built, ids, real, rows


def last_pass() -> Tensor:
    passes = nonautoregressive.mask_predict_passes(
        masked_translator(), rows(), real(), iterations=2
    )
    *_, last = passes
    return last.log_prob


def masked_translator() -> nn.Module:
    return built(nonautoregressive.MaskedTranslator, CONFIG, mask=3, max_target_length=6)


CASES = {
    decoding.choose: lambda: decoding.choose(rows(11)[:, 0], temperature=1.0, top_k=3, top_p=0.9),
    decoding.extend: lambda: decoding.extend(built(model.Decoder, CONFIG), ids(), max_new_tokens=3),
    decoding.generate: lambda: decoding.generate(
        built(model.Decoder, CONFIG), ids(), max_new_tokens=3, temperature=1.0
    ),
    decoding.translate: lambda: decoding.translate(
        built(model.EncoderDecoder, CONFIG),
        ids(),
        source_padding=real(),
        bos=1,
        eos=2,
        max_new_tokens=3,
    ),
    nonautoregressive.MaskedTranslator: lambda: masked_translator()(ids(), ids(), real(), real())[
        ..., 4:
    ],  # the mask's own score is minus infinity
    nonautoregressive.hide: lambda: nonautoregressive.hide(real()),
    nonautoregressive.target_lengths: lambda: nonautoregressive.target_lengths(real()),
    nonautoregressive.masked_loss: lambda: nonautoregressive.masked_loss(
        masked_translator(),
        ids(),
        ids(),
        nonautoregressive.hide(real()),
        source_padding=real(),
        target_padding=real(),
    ),
    nonautoregressive.mask_predict_passes: last_pass,
    nonautoregressive.mask_predict: lambda: (
        nonautoregressive.mask_predict(masked_translator(), ids(), iterations=2, n_lengths=2).ids
    ),
    decoding.exit_logits: lambda: decoding.exit_logits(built(model.Decoder, CONFIG), ids()),
    decoding.exit_loss: lambda: decoding.exit_loss(built(model.Decoder, CONFIG), ids(), ids()),
    by_layer.embed: lambda: by_layer.embed(built(model.Decoder, CONFIG), ids()),
    by_layer.head: lambda: by_layer.head(
        built(model.Decoder, CONFIG), by_layer.embed(built(model.Decoder, CONFIG), ids())
    ),
    early.lead: lambda: early.lead(rows(11)),
    decoding.speculate: lambda: (
        decoding.speculate(
            built(model.Decoder, CONFIG), ids(), draft_layers=1, n_drafted=2, max_new_tokens=3
        ).ids
    ),
    distillation.distill: lambda: distillation.distill(
        built(model.EncoderDecoder, CONFIG), ids(), bos=1, eos=2, max_new_tokens=3
    ),
}

# They make no tensors, or every case above goes through them.
NO_CASE = {
    decoding.autoregressive.check_model,
    decoding.autoregressive.check_choice,
    by_layer.layers_of,
    by_layer.check_ending,
    by_layer.run,
    # how many rows go on depends on values, which a tensor without numbers has not
    decoding.generate_early,
    early.Early,
    early.threshold_at,
    speculation.Speculation,
    nonautoregressive.Pass,
    nonautoregressive.Written,
}
