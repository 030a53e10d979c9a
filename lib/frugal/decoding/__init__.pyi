"""What `frugal.decoding` gives, for type checkers; `__init__.py` finds the same names."""

from frugal.decoding.autoregressive import choose as choose
from frugal.decoding.autoregressive import extend as extend
from frugal.decoding.autoregressive import generate as generate
from frugal.decoding.autoregressive import translate as translate
from frugal.decoding.by_layer import exit_logits as exit_logits
from frugal.decoding.by_layer import exit_loss as exit_loss
from frugal.decoding.distillation import distill as distill
from frugal.decoding.early import generate_early as generate_early
from frugal.decoding.parallel import MaskedTranslator as MaskedTranslator
from frugal.decoding.parallel import hide as hide
from frugal.decoding.parallel import mask_predict as mask_predict
from frugal.decoding.parallel import mask_predict_passes as mask_predict_passes
from frugal.decoding.parallel import masked_loss as masked_loss
from frugal.decoding.parallel import target_lengths as target_lengths
from frugal.decoding.speculation import speculate as speculate
