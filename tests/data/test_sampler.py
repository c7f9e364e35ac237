"""Order, skipping and splitting of the training samples."""

from data.sampler import EpochSampler, seed_from


def test_an_epoch_is_a_permutation_that_differs_between_epochs_and_seeds():
    sampler = EpochSampler(20, seed=1)
    first = list(sampler)
    assert sorted(index for _, index in first) == list(range(20))
    assert {epoch for epoch, _ in first} == {0}
    assert list(sampler) == first
    sampler.set_epoch(1)
    second = list(sampler)
    assert {epoch for epoch, _ in second} == {1}
    assert [i for _, i in second] != [i for _, i in first]
    assert list(EpochSampler(20, seed=2)) != first


def test_start_skips_in_its_epoch_only():
    whole, resumed = EpochSampler(20, seed=1, epoch=3), EpochSampler(20, seed=1, epoch=3, start=8)
    assert list(resumed) == list(whole)[8:]
    assert len(resumed) == 20
    resumed.set_epoch(3)
    assert list(resumed) == list(whole)[8:]
    resumed.set_epoch(4)
    whole.set_epoch(4)
    assert list(resumed) == list(whole)


def test_ranks_cover_every_sample_once_and_batches_alike():
    ranks = [list(EpochSampler(24, seed=0, rank=rank, world_size=3)) for rank in range(3)]
    assert sorted(index for rank in ranks for _, index in rank) == list(range(24))
    one = list(EpochSampler(24, seed=0))
    for step in range(4):
        split = {key for rank in ranks for key in rank[2 * step : 2 * step + 2]}
        assert split == set(one[6 * step : 6 * step + 6])


def test_ranks_are_of_equal_length_when_the_split_is_uneven():
    ranks = [list(EpochSampler(23, seed=0, rank=rank, world_size=3)) for rank in range(3)]
    assert [len(rank) for rank in ranks] == [7, 7, 7]
    assert len({index for rank in ranks for _, index in rank}) == 21


def test_seeds_do_not_depend_on_the_process():
    # Python's own hash() would differ from run to run
    assert seed_from("order", 1, 2) == 7687777085736185544
    assert len({seed_from("order", a, b) for a in range(20) for b in range(20)}) == 400
