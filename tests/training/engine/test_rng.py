from bothways.training.engine.rng import Purpose, generator, torch_seed

PURPOSES: list[Purpose] = ["order", "targets", "validation"]


def test_each_purpose_place_and_seed_has_numbers_of_its_own() -> None:
    places = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    drawn = {
        int(generator(seed, purpose, *place).integers(2**62))
        for seed in (0, 1)
        for purpose in PURPOSES
        for place in places
    }
    assert len(drawn) == 2 * len(PURPOSES) * len(places)


def test_the_same_place_has_the_same_numbers() -> None:
    assert generator(3, "order", 5).random() == generator(3, "order", 5).random()


def test_seeds_for_torch_differ_and_are_numbers_that_it_takes() -> None:
    seeds = {
        torch_seed(seed, step, batch) for seed in (0, 1) for step in (0, 1) for batch in (0, 1)
    }
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**40
