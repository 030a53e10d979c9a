"""A call for every public callable of `frugal.tasks`; `tests.devices` says how."""

from torch import nn

from frugal.data.cabinets import CabinetBatch
from frugal.data.nested_lists import NestedBatch
from frugal.tasks import drawer, list_reader, retriever, text_to_text
from tests.devices import CONFIG, asked, built, cube, ids, real, rows


def actor() -> nn.Module:
    return built(drawer.VoxelActor, side=4, patch=2, d_model=8, n_latents=3, n_heads=2)


def nested() -> NestedBatch:
    return NestedBatch(ids(), ids(), ids(), real(), ids(), ids())


CASES = {
    retriever.PreviousTokenEmbedding: lambda: built(retriever.PreviousTokenEmbedding, 11, 8)(ids()),
    retriever.Retriever: lambda: built(retriever.Retriever, "encoder-decoder", CONFIG)(asked()),
    retriever.retrieval_loss: lambda: retriever.retrieval_loss(
        built(retriever.Retriever, "decoder", CONFIG), asked()
    ),
    retriever.dip: lambda: retriever.dip(rows()),
    retriever.parts: lambda: retriever.parts(rows()).middle,
    list_reader.ListReader: lambda: built(list_reader.ListReader, CONFIG)(nested()),
    list_reader.list_loss: lambda: list_reader.list_loss(
        built(list_reader.ListReader, CONFIG), nested()
    ),
    text_to_text.begun: lambda: text_to_text.begun(ids()),
    text_to_text.Batch: lambda: (
        text_to_text.Batch(ids(), ids(), ids(), real(), real()).rows(slice(1)).labels
    ),
    drawer.VoxelActor: lambda: actor()(cube(), ids()),
    drawer.latent_gaze: lambda: drawer.latent_gaze(actor(), cube(), ids()).patches,
    drawer.drawer_loss: lambda: drawer.drawer_loss(
        actor(), CabinetBatch(cube(), ids(), ids()[:, 0], ids()[:, :3, None].expand(-1, -1, 3))
    ),
}

# They make no tensors, or every case above goes through them.
NO_CASE = {
    drawer.drawer_score,
    drawer.DrawerScore,
    drawer.LatentGaze,
    retriever.Parts,
    retriever.at_mean,  # chooses moments by what records say, on the CPU
    retriever.accuracy_by_position,  # counts in whole numbers on the CPU
    # of texts and numbers, and batches on the CPU
    text_to_text.Vocabulary,
    text_to_text.encoded,
    text_to_text.windows,
    text_to_text.corrupted,
    text_to_text.inverse_square_root,
    # a model is trained, or read, and text or numbers come of it
    text_to_text.updates,
    text_to_text.read,
    text_to_text.Read,
    text_to_text.written,
}
