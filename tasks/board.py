"""Lightning's TensorBoard logger: tags that sort, the scores first, and pictures that add up."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from PIL import Image
from torch import Tensor

from data.pixels import to_picture
from runs import board, sweeps
from tasks.photos import save_picture

#: Which pictures TensorBoard is given.
SHOWN = ("all", "last")
#: Pixels of the longer side of a last picture there, and its quality as a JPEG.
SIDE, QUALITY = 800, 80
#: Folder in a run in which last pictures are whole.
FOLDER = "pictures"


class Board(TensorBoardLogger):
    """Writes every number under its `runs.board.tag`; the epoch, which says nothing, is left out.

    Checkpoints, records and other loggers have the names as they are logged.

    Args:
        save_dir: the run's folder.
        pictures: "all" gives TensorBoard each picture, whole. "last" keeps the last one of each tag
            as a PNG in the run's folder `pictures/`, and gives TensorBoard, once the training has
            ended, those of what the net makes, made smaller. None is "last" in a sweep, whose
            pictures would be gigabytes, and else "all".
        options: those of `TensorBoardLogger`.

    Raises:
        ValueError: another word for `pictures`.
    """

    def __init__(self, save_dir: str, *, pictures: str | None = None, **options: Any) -> None:
        super().__init__(save_dir, **options)
        if pictures not in (None, *SHOWN):
            raise ValueError(
                f"logger.tensorboard.pictures={pictures}: give {', '.join(SHOWN)} or null"
            )
        in_sweep = HydraConfig.initialized() and sweeps.is_job()
        self.pictures = pictures or ("last" if in_sweep else "all")
        self._last: dict[str, tuple[Image.Image, int]] = {}

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write numbers of a step."""
        tagged = {board.tag(name): value for name, value in metrics.items() if name != "epoch"}
        super().log_metrics(tagged, step)

    @rank_zero_only
    def log_picture(self, name: str, picture: Tensor, step: int) -> None:
        """Write a picture of a step, (3, H, W) uint8, or keep it until there is a later one."""
        tag = board.tag(name)
        if self.pictures == "all":
            self.experiment.add_image(tag, picture, step)
            return
        whole = to_picture(picture)
        target = Path(self.log_dir, FOLDER, f"{name.replace('/', '_')}.png")
        target.parent.mkdir(parents=True, exist_ok=True)
        save_picture(whole, target)
        if tag.startswith(f"{board.PICTURES}/"):
            self._last[tag] = whole, step

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the last pictures, and all that is still to be written."""
        for tag, (whole, step) in self._last.items():
            self.experiment._get_file_writer().add_summary(thumbnail(tag, whole), step)
        self._last.clear()
        super().finalize(status)


def thumbnail(tag: str, whole: Image.Image) -> Any:
    """A picture as a summary of TensorBoard, made smaller where it is larger than `SIDE`."""
    from tensorboard.compat.proto.summary_pb2 import Summary  # which scoring does without

    small, file = whole.convert("RGB"), io.BytesIO()
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    small.save(file, format="JPEG", quality=QUALITY, optimize=True)
    image = Summary.Image(
        height=small.height, width=small.width, colorspace=3, encoded_image_string=file.getvalue()
    )
    return Summary(value=[Summary.Value(tag=tag, image=image)])
