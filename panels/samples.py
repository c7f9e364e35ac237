"""Generated images to look at, many in one picture."""

from torch import Tensor

SIDE_MIN = 48  # pixels of an image's side in the picture, at least
GAP = 2


def sample_grid(images: Tensor, columns: int) -> Tensor:
    """Set images row by row on white, each enlarged by whole pixels where small.

    Args:
        images: (B, C, H, W) in [-1, 1], grey or in colour.
        columns: images in a row.

    Returns:
        (3, height, width) uint8, for `SummaryWriter.add_image`.
    """
    from torchvision.utils import make_grid  # whose import takes seconds

    levels = (images.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    zoom = -(-SIDE_MIN // images.shape[-1])
    levels = levels.repeat_interleave(zoom, -2).repeat_interleave(zoom, -1)
    return make_grid(levels.round().byte(), columns, padding=GAP, pad_value=255)
