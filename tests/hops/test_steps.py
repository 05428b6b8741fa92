"""The steps of a chain that the program author may take: first ones, ways on, counts and colours."""

from __future__ import annotations

from dataclasses import replace

from hopchain_etl.hops.instance import Instance
from hopchain_etl.hops.query import EXTREMES, Relation
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.steps import StepFinder, first_steps
from support.hop_scenes import disc, filled, line, scene, shaped, text, thing


def steps_by(found: Scene, start: Instance, rel: Relation) -> set[tuple[str, str]]:
    return {(step.category, step.target.id) for step in StepFinder(found).exits(start) if step.rel is rel}


def test_only_a_part_is_in_a_thing() -> None:
    wheels, dogs = [disc(200 + 300 * n, 400, 30) for n in range(2)], [disc(280 + 300 * n, 400, 30) for n in range(2)]
    cars = [filled(150 + 300 * n, 300, 200, 200) & ~wheels[n] & ~dogs[n] for n in range(2)]
    made = {"car": cars, "wheel": wheels, "dog": dogs}
    found = scene(*(shaped(f"{name}{n}", name, pixels) for name, two in made.items() for n, pixels in enumerate(two)))
    assert steps_by(found, found.get("car0"), Relation.IN) == {("wheel", "wheel0")}
    assert steps_by(found, found.get("wheel0"), Relation.IN) == set()


def test_between_a_chart_and_its_legend_a_colour_leads() -> None:
    colours = ("red", "blue")
    bars = [thing(f"{one} bar", "bar", 100 + 100 * n, 300, 50, 200, colour=one) for n, one in enumerate(colours)]
    patches = [
        thing(f"{one} patch", "legend patch", 800, 100 + 40 * n, 20, 20, colour=one) for n, one in enumerate(colours)
    ]
    found = scene(*bars, *patches)
    assert steps_by(found, bars[0], Relation.MATCHING) == {("legend patch", "red patch")}
    assert steps_by(found, patches[1], Relation.MATCHING) == {("bar", "blue bar")}
    dogs = [thing(f"{one} dog", "dog", 100 + 200 * n, 600, 60, 60, colour=one) for n, one in enumerate(colours)]
    found = scene(*bars, *dogs, thing("plain", "legend patch", 800, 300, 20, 20))
    assert steps_by(found, dogs[0], Relation.MATCHING) == set(), "dogs are of a colour by chance"
    assert steps_by(found, found.get("plain"), Relation.MATCHING) == set()


def test_a_number_leads_to_the_one_nearest_in_value_and_a_word_does_not() -> None:
    numbers = [text(said, 100, 100 + 100 * n) for n, said in enumerate(("11", "40", "13"))]
    word = text("Figs", 500, 100)
    found = scene(*numbers, word, thing("car", "car", 700, 500, 60, 60))
    assert steps_by(found, numbers[0], Relation.NEAREST_VALUE) == {("number", numbers[2].id)}
    assert steps_by(found, word, Relation.NEAREST_VALUE) == set()


def test_tallest_and_widest_are_said_of_charts_only() -> None:
    for category, said in (("bar", EXTREMES), ("car", {Relation.LARGEST, Relation.SMALLEST})):
        large, small = thing("large", category, 100, 100, 200, 300), thing("small", category, 500, 100, 100, 100)
        starts = {step.rel for step in first_steps(scene(large, small)) if step.rel in EXTREMES}
        assert starts == said


def test_colours_of_a_kind_are_those_of_its_certain_things() -> None:
    cars = [thing(f"c{n}", "car", 150 * n, 100, 60, 60, colour=one) for n, one in enumerate(("red", "blue"))]
    unsure = thing("unsure", "car", 500, 100, 60, 60, colour="green", certain=False)
    finder = StepFinder(scene(*cars, unsure, thing("plain", "dog", 700, 100, 60, 60)))
    assert finder.colours == {"car": {"red", "blue"}}
    assert finder.absent_colours(cars[0]) == ["blue"]
    lone = thing("lone", "dog", 100, 400, 60, 60, colour="brown")
    absent = StepFinder(scene(*cars, lone)).absent_colours(lone)
    assert "brown" not in absent
    assert {"blue", "green"} <= set(absent)


def test_a_way_on_is_none_that_the_step_before_has_as_well() -> None:
    a, b, c = (thing(name, "car", 150 * n + 100, 300, 60, 60) for n, name in enumerate("abc"))
    dogs = [thing("dog", "dog", 250, 500, 60, 60), thing("other", "dog", 900, 700, 60, 60)]
    finder = StepFinder(scene(a, b, c, *dogs))
    assert finder.ways_on(a, b)
    assert set(finder.ways_on(a, b)) == set(finder.exits(b)) - set(finder.exits(a))


def test_a_count_that_is_not_clear_is_none() -> None:
    sure, unsure = thing("sure", "car", 100, 100, 60, 60), thing("unsure", "car", 300, 100, 60, 60, certain=False)
    assert StepFinder(scene(sure)).count("car", Relation.NAMED, None) == (sure,)
    assert StepFinder(scene(sure, replace(sure, id="other"), thing("dog", "dog", 9, 9, 40, 40))).countable == ["car"]
    assert StepFinder(scene(sure, unsure)).count("car", Relation.NAMED, None) == ()


def test_a_count_is_of_what_is_past_a_thing_or_on_it() -> None:
    dog = thing("dog", "dog", 100, 100, 100, 100)
    past, partly = thing("past", "car", 300, 300, 100, 100), thing("partly", "car", 170, 500, 100, 100)
    assert StepFinder(scene(dog, past)).count("car", Relation.RIGHT_OF, dog) == (past,)
    assert StepFinder(scene(dog, past, partly)).count("car", Relation.RIGHT_OF, dog) == ()
    assert StepFinder(scene(dog, past, partly)).count("car", Relation.BELOW, dog) == (past, partly)
    sign = thing("sign", "sign", 100, 100, 400, 200, masked=True)
    lines = line("a", "Bread", 130, 130), line("b", "Milk", 130, 200)
    assert StepFinder(scene(sign, *lines)).count("text", Relation.INSIDE, sign) == lines


def test_nothing_leads_to_the_only_one_of_its_kind() -> None:
    dog, *cars = (thing(name, name[:3], 100 + 200 * n, 300, 60, 60) for n, name in enumerate(("dog", "car1", "car2")))
    assert StepFinder(scene(dog, cars[0])).exits(dog) == []
    assert {step.target.id for step in StepFinder(scene(dog, *cars)).exits(dog)} == {"car1"}
    assert {step.target.id for step in StepFinder(scene(dog, *cars)).exits(cars[0])} == {"car2"}


def test_a_kind_of_which_one_may_be_of_a_colour_is_not_called_by_it() -> None:
    red, blue = (thing(one, "car", 200 * n, 100, 60, 60, colour=one) for n, one in enumerate(("red", "blue")))
    reddish = thing("reddish", "car", 500, 100, 60, 60, colours="red,brown")
    assert StepFinder(scene(red, blue)).names == ["blue car", "car", "red car"]
    assert StepFinder(scene(red, blue, reddish)).names == ["blue car", "car"]


def test_a_name_that_says_a_colour_already_gets_no_other() -> None:
    fruit = thing("fruit", "orange", 100, 100, 60, 60, colour="orange")
    board = thing("board", "white board", 300, 100, 60, 60, colour="white")
    car = thing("car", "car", 500, 100, 60, 60, colour="white")
    assert StepFinder(scene(fruit, car)).names == ["car", "orange", "white car"]
    assert "white white board" not in StepFinder(scene(board, car)).names
    plain = thing("plain", "board", 700, 100, 60, 60, colour="white")
    assert "white board" not in StepFinder(scene(board, plain)).names  # which of the two
    assert "white board" not in {step.category for step in first_steps(scene(board, plain)) if step.target is plain}
