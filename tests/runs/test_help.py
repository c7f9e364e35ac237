"""--help: every option with its comment, one choice's, and the page of all of them."""

import pytest

from runs import help
from runs.console import ROOT


def test_the_page_of_options_is_that_of_the_configs():
    assert (ROOT / "docs" / "options.md").read_text() == help.markdown(), (
        "python -m runs.help > docs/options.md"
    )


@pytest.mark.parametrize("script", help.SCRIPTS)
def test_every_option_of_a_script_has_its_comment_in_80_columns(script):
    text = help.page(script, [], width=80)
    assert max(map(len, text.splitlines()[8:])) <= 100
    flat = " ".join(text.split())
    for option in help.read(help.CONFIGS / f"{script}.yaml").options:
        assert f"{option.key}={option.value}" in flat
        assert " ".join(option.comment.split()) in flat


def test_a_choice_tells_its_own_options_alone():
    text = help.page("train", ["model=unet", "upsample.kernel=3"], width=80)
    assert "model.decoder_widths=null  widths of the convolutions of each step" in text
    assert "upsample." not in text
    assert "_target_" not in text


def test_an_unknown_choice_is_answered_with_the_closest():
    with pytest.raises(ValueError, match="model=unte: there is no such model; did you mean 'unet'"):
        help.page("train", ["model=unte", "--help"])


def test_comments_values_and_nesting_are_read(tmp_path):
    (tmp_path / "x.yaml").write_text(
        '# A title\n# of two lines.\n\n_target_: a.B # none\nq: "a # b" # quoted\n'
        "deep: # a node\n  inner: [1, 2] # a list\nupsample: ${upsample}\nseed: ${seed} # order\n"
    )
    file = help.read(tmp_path / "x.yaml", "g")
    assert file.title == "A title of two lines."
    assert file.options == (
        help.Option("g.q", '"a # b"', "quoted"),
        help.Option("g.deep", "", "a node"),
        help.Option("g.deep.inner", "[1, 2]", "a list"),
        help.Option("g.seed", "${seed}", "order"),
    )
