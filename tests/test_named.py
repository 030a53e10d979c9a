"""Parts by name: each name makes what its class makes, and a configuration can be written down."""

import json
import pickle
from dataclasses import replace

import pytest
import torch

from frugal.attention.kernels import FavorFeatures
from frugal.attention.patterns import RULES, PatternAttention
from frugal.model import Decoder, Encoder, TransformerConfig
from frugal.named import PARTS, named

SMALL = TransformerConfig(11, 8, 2, 2, max_length=12)
NAMES = {
    "make_attend": {
        "softmax": None,
        "window:3": "PatternAttention",
        "dilated:2, 2": "PatternAttention",
        "strided:3": "PatternAttention",
        "fixed:4, summary=1": "PatternAttention",
        "global:(0,)": "PatternAttention",
        "random:2, seed=3": "PatternAttention",
        "full": "PatternAttention",
        "window+global:3, global_tokens=(0, 1)": "PatternAttention",
        "linear": "KernelAttention",
        "favor:16": "KernelAttention",
        "rfa:16, gate=False": "RandomFeatureAttention",
        "lsh:4": "LshAttention",
        "lsh:4, n_hashes=2, seed=1": "LshAttention",
        "sinkhorn:4": "SinkhornAttention",
        "linformer:4, sharing=kv": "LinformerAttention",
        "span:8": "AdaptiveSpan",
        "dynamic_span: 8, ramp=2": "DynamicSpan",
        "entmax:1.5, learned=True": "EntmaxAttention",
        "relative": "RelativeAttention",
    },
    "make_mixer": {
        "fourier": "FourierMixing",
        "lightweight:3": "LightweightConv",
        "dynamic:3, causal=True": "DynamicConv",
        "synthesizer:random": "Synthesizer",
        "synthesizer": "Synthesizer",
    },
    "make_feed_forward": {
        "dense:gelu": "DenseFeedForward",
        "gated:swish": "GatedFeedForward",
        "switch:4": "SwitchFeedForward",
    },
}
ALL = [(option, name) for option, names in NAMES.items() for name in names]


@pytest.mark.parametrize(("option", "name"), ALL)
def test_a_name_makes_its_class_and_the_model_runs(option, name):
    config = replace(SMALL, **{option: name})
    part = named(option, name)(1, config)
    expected = NAMES[option][name]
    assert expected is None or type(part).__name__ == expected
    torch.manual_seed(0)
    assert Encoder(config)(torch.arange(9)[None]).shape == (1, 9, 8)


def test_every_name_is_tried():
    for option, known in PARTS.items():
        words = {name.split(":")[0] for name in NAMES[option]}
        assert known.keys() <= words
    assert RULES.keys() <= {name.split(":")[0] for name in NAMES["make_attend"]}


def test_a_name_is_the_function_that_makes_it():
    def made(index, config):
        return PatternAttention("window", window=2)

    ids = torch.arange(9)[None]
    models = []
    for make in ("window:2", "window:window=2", made):
        torch.manual_seed(0)
        models.append(Decoder(replace(SMALL, make_attend=make)).eval())
    for other in models[1:]:
        assert torch.equal(models[0](ids), other(ids))
    favor = named("make_attend", "favor:6, orthogonal=False")(0, SMALL).features
    assert isinstance(favor, FavorFeatures)
    assert favor.projection.shape == (6, 4)
    assert not favor.orthogonal


@pytest.mark.parametrize(("option", "name"), ALL)
def test_a_configuration_of_names_is_written_and_read(option, name, tmp_path):
    config = replace(SMALL, **{option: name}, attention_dropout=0.0)
    assert pickle.loads(pickle.dumps(config)) == config
    assert TransformerConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    torch.save({"config": config, "options": config.to_dict()}, tmp_path / "config.pt")
    found = torch.load(tmp_path / "config.pt")  # weights_only, as torch's default is
    assert found["config"] == config
    assert TransformerConfig.from_dict(found["options"]) == config


def a_factory(index, config):
    return PatternAttention("window", window=2)


def test_functions_can_be_pickled_but_not_written_down():
    config = replace(SMALL, make_attend=a_factory)
    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(ValueError, match=r"make_attend is a_factory; it must be a name, such as"):
        config.to_dict()
    with pytest.raises(ValueError, match=r"make_stack is <lambda>; it must be a name"):
        replace(SMALL, make_stack=lambda layers: None).to_dict()
    with pytest.raises(ValueError, match=r"must be an option of the model \(did you mean 'posi"):
        TransformerConfig.from_dict({"vocab_size": 3, "position": "rope"})


@pytest.mark.parametrize(
    ("option", "name", "sentence"),
    [
        ("make_attend", "windw:3", r"begin with one of .* \(did you mean 'window'\?\)\.$"),
        ("make_attend", "lhs:3", r"begin with one of .*\.$"),
        ("make_attend", "lsh", r"it must be lsh:bucket_size, n_hashes=4, \*\*options \(missing"),
        ("make_attend", "softmax:3", r"it must be softmax alone \(too many"),
        ("make_attend", "window", "window is missing; the pattern 'window' needs it"),
        ("make_attend", "window:3, 4", r"it must be window:window\."),
        ("make_attend", "window:window=3, windw=4", r"did you mean 'window'"),
        ("make_attend", "window:", "window is missing"),
        ("make_attend", "lsh:import os", "must be arguments as in a call"),
        ("make_attend", "lsh:f(3)", "must be arguments as in a call"),
        ("make_mixer", "fourer", r"did you mean 'fourier'\?"),
        ("make_feed_forward", "gatd", r"did you mean 'gated'\?"),
    ],
)
def test_a_wrong_name_is_refused_when_the_configuration_is_made(option, name, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(SMALL, **{option: name})
