"""Lightning's TensorBoard logger, with tags that sort: the scores first, the details last."""

from collections.abc import Mapping

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from runs import board


class Board(TensorBoardLogger):
    """Writes every number under its `runs.board.tag`; the epoch, which says nothing, is left out.

    Checkpoints, records and other loggers have the names as they are logged.
    """

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write numbers of a step."""
        tagged = {board.tag(name): value for name, value in metrics.items() if name != "epoch"}
        super().log_metrics(tagged, step)
