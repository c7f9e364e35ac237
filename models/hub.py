"""Model files to and from the Hugging Face Hub, by huggingface_hub's own mixin.

    HubModel.of("unet_dysample.shapes").push_to_hub("me/unet-dysample")
    net = HubModel.from_pretrained("me/unet-dysample").net

Needs the extra `hub`. What lies on the hub is a model file like any other, and `upzoo.load` reads a
copy of it without huggingface_hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from upzoo import checkpoint, zoo

try:
    from huggingface_hub import PyTorchModelHubMixin, snapshot_download
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "upzoo.hub needs huggingface_hub, which is not installed: pip install 'upzoo[hub]'"
    ) from None


class HubModel(nn.Module, PyTorchModelHubMixin, library_name="upzoo", tags=["upsampling"]):
    """A net with its metadata: `save_pretrained`, `from_pretrained`, `push_to_hub`.

    Args:
        net: as `upzoo.zoo.read` gives it.
        metadata: plain data; `metadata["model"]` is the spec that `upzoo.checkpoint.build` takes.

    Raises:
        ValueError: the metadata have no `model`.
    """

    def __init__(self, net: nn.Module, metadata: Mapping[str, Any]) -> None:
        super().__init__()
        if "model" not in metadata:
            raise ValueError("metadata has no 'model', the config from which the net is built")
        self.net = net
        self.metadata = dict(metadata)

    @classmethod
    def of(cls, source: str | Path) -> HubModel:
        """A name of the zoo, a run's folder, a model's folder or a `.ckpt`, as `upzoo.load`."""
        return cls(*zoo.read(source))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the net makes of its input."""
        return self.net(*args, **kwargs)

    def _save_pretrained(self, save_directory: Path) -> None:
        checkpoint.write(save_directory, self.net, self.metadata)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> HubModel:
        folder = Path(model_id)
        if not folder.is_dir():
            wanted = ("revision", "cache_dir", "force_download", "local_files_only", "token")
            files = [checkpoint.WEIGHTS, checkpoint.CONFIG]
            found = {key: options[key] for key in wanted if key in options}
            folder = Path(snapshot_download(model_id, allow_patterns=files, **found))
        return cls(*checkpoint.load(folder))
