import itertools

from bothways.lab.tasks.base import Alphabet, Stream, generator


def test_each_seed_step_and_stream_has_chance_of_its_own() -> None:
    streams: tuple[Stream, ...] = ("train", "validation", "test")
    places = list(itertools.product((0, 1), (0, 1), streams))
    drawn = [tuple(generator(*place).integers(1000, size=8).tolist()) for place in places]
    assert len(set(drawn)) == len(places)
    assert drawn == [tuple(generator(*place).integers(1000, size=8).tolist()) for place in places]


def test_ids_are_places_in_the_alphabet_and_back() -> None:
    alphabet = Alphabet(("x", "yy", "z"))
    assert alphabet.ids(["z", "x", "yy"]).tolist() == [2, 0, 1]
    assert alphabet.spell([2, 0, 1]) == ["z", "x", "yy"]
    assert len(alphabet) == 3
