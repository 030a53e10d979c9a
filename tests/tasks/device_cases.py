"""A call for every public callable of `frugal.tasks`; `tests.devices` says how."""

from torch import nn

from frugal.data.cabinets import CabinetBatch
from frugal.data.nested_lists import NestedBatch
from frugal.tasks import drawer, list_reader, retriever
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
}
