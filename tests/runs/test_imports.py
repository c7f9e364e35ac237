"""Imports without the garbage collector."""

import gc

import pytest

from runs import imports


def test_the_collector_rests_meanwhile_and_what_was_made_is_not_looked_at_again():
    before = gc.get_freeze_count()
    try:
        with imports.without_collecting():
            assert not gc.isenabled()
            made = [[] for _ in range(1000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() >= before + len(made)
        with pytest.raises(ImportError), imports.without_collecting():
            raise ImportError
        assert gc.isenabled()
    finally:
        gc.unfreeze()
