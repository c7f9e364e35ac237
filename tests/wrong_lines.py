"""Wrong command lines, drawn: slips that people make, in options that the scripts have."""

import random
import string
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from tests.conftest import ROOT, compose_config

SCRIPTS = ("train", "evaluate", "compare")
#: What a command line needs so that nothing else is wrong with it.
BASE = {
    "train": ["debug=fast"],
    "evaluate": ["pretrained=unet_bilinear_init.shapes"],
    "compare": ["."],
}
#: Values that no option takes that is a number, a switch or a list of numbers.
NONSENSE = ("abc", "1e", "--", "[a,b]", "{a:b}", "one")


def leaves(script: str) -> dict[str, Any]:
    """Option → its default, of all that a script's config holds."""
    cfg = OmegaConf.to_container(compose_config(script, []), resolve=False)
    return dict(_leaves(cfg))


def _leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        elif not name.startswith("_"):
            yield f"{prefix}{name}", value


def groups() -> dict[str, list[str]]:
    """Group → the names of its choices."""
    folders = [path for path in sorted((ROOT / "configs").iterdir()) if path.is_dir()]
    return {f.name: sorted(path.stem for path in f.glob("*.yaml")) for f in folders}


class Slips:
    """Draws wrong command lines from a seed.

    Args:
        seed: of the draws.
        nowhere: a path at which nothing is.
    """

    def __init__(self, seed: int, nowhere: Path) -> None:
        self.random = random.Random(seed)
        self.nowhere = nowhere
        self.leaves = {script: leaves(script) for script in SCRIPTS}
        self.groups = groups()

    def line(self) -> list[str]:
        """A script and its arguments, of which one is wrong."""
        kinds: tuple[Callable[[str], list[str]], ...] = (
            self.misspelt,
            self.misspelt,
            self.nonsense,
            self.nonsense,
            self.nonsense,
            self.beyond,
            self.beyond,
            self.unknown_choice,
            self.no_choice,
            self.dashes,
            self.spaces,
            self.nothing_there,
            self.foreign_option,
            self.unbalanced,
            self.unswept,
            self.interpolation,
            self.added,
            self.removed,
            self.two_sources,
        )
        while True:
            script = self.random.choices(SCRIPTS, (6, 3, 2))[0]
            wrong = self.random.choice(kinds)(script)
            if wrong:
                return [f"{script}.py", *BASE[script], *wrong]

    def _option(self, script: str, *kinds: type) -> str | None:
        names = [n for n, v in self.leaves[script].items() if not kinds or type(v) in kinds]
        return self.random.choice(names) if names else None

    def misspelt(self, script: str) -> list[str]:
        """A letter left out, doubled, changed or swapped in an option's name."""
        name = self._option(script)
        place = self.random.randrange(len(name))
        letter = self.random.choice(string.ascii_lowercase)
        wrong = self.random.choice(
            (
                name[:place] + name[place + 1 :],
                name[:place] + letter + name[place + 1 :],
                name[: place + 1] + letter + name[place + 1 :],
                name[:place] + name[place : place + 2][::-1] + name[place + 2 :],
            )
        )
        known = {
            *self.leaves[script],
            *self.groups,
            *(n.split(".")[0] for n in self.leaves[script]),
        }
        return [] if wrong in known or wrong.endswith(".") else [f"{wrong}=1"]

    def nonsense(self, script: str) -> list[str]:
        """Words where numbers and switches are wanted."""
        name = self._option(script, int, float, bool, list)
        if name is None or name in ("list", "audit.args", "runs", "trainer.precision"):
            return []
        return [f"{name}={self.random.choice(NONSENSE)}"]

    def beyond(self, script: str) -> list[str]:
        """Numbers that are out of every range."""
        name = self._option(script, int, float)
        if name is None or name in ("trainer.devices",):
            return []
        return [f"{name}={self.random.choice(('-3', '.nan', '.inf', '-1.5'))}"]

    def unknown_choice(self, script: str) -> list[str]:
        """A name that a group does not have."""
        group = self.random.choice(list(self.groups))
        return [f"{group}={self.random.choice(self.groups[group])}x"]

    def no_choice(self, script: str) -> list[str]:
        """What is no name at all."""
        group = self.random.choice(list(self.groups))
        return [f"{group}={self.random.choice(('3', '[1,2]', '{a:1}', 'true', '1.5', '-1'))}"]

    def dashes(self, script: str) -> list[str]:
        """As other programs have it."""
        name = self._option(script).rpartition(".")[2]
        value = self.random.choice(("3", "0.1", "x"))
        return self.random.choice(
            ([f"--{name}", value], [f"--{name}={value}"], [f"-{name}={value}"])
        )

    def spaces(self, script: str) -> list[str]:
        """Blanks around the sign."""
        name = self._option(script)
        return self.random.choice(([name, "=", "3"], [f"{name}=", "3"], [name, "=3"], [name, "3"]))

    def nothing_there(self, script: str) -> list[str]:
        """Paths at which nothing is."""
        paths = {
            "train": (f"ckpt={self.nowhere}", f"init={self.nowhere}", f"ckpt={self.nowhere}.ckpt"),
            "evaluate": (f"input={self.nowhere}", f"root={self.nowhere}"),
            "compare": (f"{self.nowhere}", f"{self.nowhere}/record.json"),
        }
        return [self.random.choice(paths[script])]

    def foreign_option(self, script: str) -> list[str]:
        """An option of another script."""
        other = self.random.choice([each for each in SCRIPTS if each != script])
        names = set(self.leaves[other]) - set(self.leaves[script])
        name = self.random.choice(sorted(names))
        return [f"{name}={self.random.choice(('1', 'x'))}"]

    def unbalanced(self, script: str) -> list[str]:
        """A bracket or a quote that is not closed."""
        name = self._option(script, int, float, list, bool)
        return [f"{name}={self.random.choice(('[1,2', '{a:', '(1', '1]', '1}'))}"] if name else []

    def unswept(self, script: str) -> list[str]:
        """Several values without -m."""
        name = self._option(script, int, float, bool)
        return [f"{name}=1,2"] if name else []

    def interpolation(self, script: str) -> list[str]:
        """Names that are nowhere."""
        name = self._option(script, int, float, str)
        return [f"{name}=${{{self.random.choice(('nowhere', 'oc.env:UPZOO_NOT_SET', 'data.x'))}}}"]

    def added(self, script: str) -> list[str]:
        """New options, which nothing reads."""
        places = {
            "train": ("", "trainer.", "data.", "model.", "task.", "upsample.", "callbacks.panels."),
            "evaluate": ("", "trainer.", "audit."),
            "compare": ("",),
        }
        name = "".join(self.random.choices(string.ascii_lowercase, k=6))
        plus = self.random.choice(("+", "++"))
        return [f"{plus}{self.random.choice(places[script])}{name}=1"]

    def removed(self, script: str) -> list[str]:
        """Options that are not there, taken away."""
        return [f"~{''.join(self.random.choices(string.ascii_lowercase, k=5))}"]

    def two_sources(self, script: str) -> list[str]:
        """Two nets at once, or what does nothing beside the scoring."""
        if script != "evaluate":
            return []
        name = self.random.choice(("ckpt", "convert", "output", "format", "where", "swap", "keep"))
        return [f"{name}=x"]
