"""Parts of pages, by hand."""

import pytest

from comparison import pages


def test_a_part_replaces_what_stood_between_its_markers():
    page = "a\n<!-- begin x -->\nold \\1\n<!-- end x -->\nb"
    once = pages.inserted(page, {"x": r"new \2"})
    assert once == "a\n<!-- begin x -->\nnew \\2\n<!-- end x -->\nb"
    assert pages.inserted(once, {"x": r"new \2"}) == once
    with pytest.raises(ValueError, match=r"^'y' has no place in the page: add <!-- begin y -->"):
        pages.inserted(page, {"y": ""})


def test_a_table_has_its_names_to_the_left():
    text = pages.table(["net", "score"], [["a", "1"], ["b", "2"]])
    assert text == "| net | score |\n| --- | ---: |\n| a | 1 |\n| b | 2 |"
