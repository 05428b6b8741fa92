"""Mixed files: what is in them, in which order, and what is refused."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hopchain_etl.cli import app
from hopchain_etl.training.mix import MixError, MixSpec, mix
from hopchain_etl.training.mix import write as writing
from hopchain_etl.training.parquet_schemas import SchemaError
from hopchain_etl.training.preflight.facts import mixed_columns
from support.trainer_rows import BANDS, VERL, verl_row

Row = dict[str, Any]


def put(file: Path, rows: list[Row], schema: pa.Schema = VERL, group: int = 7) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema), file, row_group_size=group)
    return file


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """60 rows of other data and 45 of a release, in small row groups."""
    base = [verl_row("base", number, f"b{number}".encode(), graded=False) for number in range(60)]
    hops = [verl_row("hops", number, f"h{number}".encode()) for number in range(45)]
    return {"base": put(tmp_path / "base.parquet", base), "hops": put(tmp_path / "hops.parquet", hops, group=100)}


def mixed(files: dict[str, Path], out: Path, *phases: Row, **more: Any) -> tuple[list[Row], Row]:
    spec = MixSpec.of({"sources": {name: [file] for name, file in files.items()}, "phases": phases, **more}, "test")
    told = mix(spec, out)
    assert json.loads((out / "mix.json").read_text()) == told
    assert [one.name for one in sorted(out.iterdir())] == ["mix.json", "train.parquet"]  # no draft is left
    return pq.read_table(out / "train.parquet").to_pylist(), told


def named(rows: list[Row]) -> list[str]:
    return [row["images"][0]["bytes"].decode() for row in rows]


def test_rows_come_once_whole_and_in_phases(files: dict[str, Path], tmp_path: Path) -> None:
    phases = ({"shares": {"base": 1}}, {"shares": {"hops": 1}})
    rows, told = mixed(files, tmp_path / "out", *phases)
    given = {str(row["images"]): row for file in files.values() for row in pq.read_table(file).to_pylist()}
    assert sorted(named(rows[:60])) == sorted(f"b{number}" for number in range(60))
    assert sorted(named(rows[60:])) == sorted(f"h{number}" for number in range(45))
    assert named(rows[60:]) != [f"h{number}" for number in range(45)]
    assert all(given[str(row["images"])] == row for row in rows)
    assert [(one["first"], one["rows"]) for one in told["phases"]] == [(0, 60), (60, 45)]
    assert told["phases"][1]["sources"] == {"hops": {"rows": 45, "bands": {"easy": 15, "medium": 15, "hard": 15}}}


def test_shares_hold_in_every_stretch_of_a_phase(files: dict[str, Path], tmp_path: Path) -> None:
    rows, _ = mixed(files, tmp_path / "out", {"shares": {"hops": 0.75, "base": 0.25}, "rows": 40})
    sources = [name[0] for name in named(rows)]
    assert (sources.count("h"), sources.count("b")) == (30, 10)
    for end in range(1, 41):
        assert abs(sources[:end].count("h") - 0.75 * end) <= 1


def test_a_phase_takes_what_the_phases_before_have_left(files: dict[str, Path], tmp_path: Path) -> None:
    rows, told = mixed(files, tmp_path / "out", {"shares": {"base": 1}, "rows": 50}, {})
    assert len(set(named(rows))) == len(rows) == 105
    assert {name: one["rows"] for name, one in told["phases"][1]["sources"].items()} == {"base": 10, "hops": 45}


def test_without_rows_a_phase_is_as_long_as_its_shares_allow(files: dict[str, Path], tmp_path: Path) -> None:
    rows, _ = mixed(files, tmp_path / "out", {"shares": {"hops": 1, "base": 3}})
    assert [name[0] for name in named(rows)].count("b") == 60
    assert len(rows) == 80


def test_a_curriculum_goes_from_easy_to_hard_with_base_rows_all_along(files: dict[str, Path], tmp_path: Path) -> None:
    rows, _ = mixed(files, tmp_path / "out", {"order": "curriculum"})
    bands = [row["extra_info"]["band"] for row in rows]
    assert [band for band in bands if band] == ["easy"] * 15 + ["medium"] * 15 + ["hard"] * 15
    assert 18 <= bands[:35].count(None) <= 22  # 60 of 105 everywhere


def test_within_a_band_the_higher_share_of_right_tries_comes_first(tmp_path: Path) -> None:
    rows = [verl_row("hops", number, str(number).encode()) for number in range(8)]
    for number, row in enumerate(rows):
        row["extra_info"] |= {"band": "medium", "difficulty": number / 8}
    made, _ = mixed({"hops": put(tmp_path / "hops.parquet", rows)}, tmp_path / "out", {"order": "curriculum"})
    assert named(made) == list("76543210")


def test_other_data_may_say_difficulty_in_words(files: dict[str, Path], tmp_path: Path) -> None:
    base = pq.read_table(files["base"])
    files["base"] = tmp_path / "worded.parquet"
    pq.write_table(base.append_column("difficulty", pa.array(["hard", None] * 30)), files["base"])
    rows, _ = mixed(files, tmp_path / "out", {"order": "curriculum"}, align=True)
    bands = [row["extra_info"]["band"] for row in rows if row["extra_info"]["band"]]
    assert bands == sorted(bands, key=("easy", "medium", "hard").index)
    assert {row["difficulty"] for row in rows} == {"hard", None}


def test_the_order_depends_on_seed_and_rows_alone(files: dict[str, Path], tmp_path: Path) -> None:
    phase = {"shares": {"hops": 2, "base": 1}, "rows": 30}
    rows, told = mixed(files, tmp_path / "one", phase, seed=5)
    assert mixed(files, tmp_path / "two", phase, seed=5)[1]["order_sha256"] == told["order_sha256"]
    assert named(mixed(files, tmp_path / "three", phase, seed=6)[0]) != named(rows)
    shuffled = pq.read_table(files["hops"]).to_pylist()
    random.Random(3).shuffle(shuffled)
    others = {**files, "hops": put(tmp_path / "moved.parquet", shuffled, group=3)}
    assert named(mixed(others, tmp_path / "four", phase, seed=5)[0]) == named(rows)


@pytest.mark.parametrize("answers", [1, 5])
def test_rows_that_share_a_prompt_are_shuffled(answers: int, tmp_path: Path) -> None:
    """Instruction sets ask thousands of photos the same question."""
    rows = [verl_row("base", number, str(number).encode(), graded=False) for number in range(100)]
    for number, row in enumerate(rows):
        row |= {"prompt": rows[0]["prompt"], "reward_model": {"style": "rule", "ground_truth": str(number % answers)}}
    base = {"base": put(tmp_path / "base.parquet", rows)}
    made, _ = mixed(base, tmp_path / "out", {})
    places = [int(name) for name in named(made)]
    assert sorted(places) == list(range(100))
    assert 30 < sum(one < other for one, other in itertools.pairwise(places)) < 70
    assert all(len({place // 20 for place in places[start : start + 20]}) > 2 for start in range(0, 100, 20))
    assert named(mixed(base, tmp_path / "again", {})[0]) == named(made)


def test_a_mix_of_a_mix_shuffles_all_its_rows(files: dict[str, Path], tmp_path: Path) -> None:
    """In a mix only our rows have a query_id; the others are known by their prompts."""
    mixed(files, tmp_path / "one", {"shares": {"base": 1}}, {"shares": {"hops": 1}}, seed=1)
    direct, _ = mixed({"base": files["base"]}, tmp_path / "two", {}, seed=2)
    again, _ = mixed({"all": tmp_path / "one/train.parquet"}, tmp_path / "three", {}, seed=2)
    base = [name for name in named(again) if name[0] == "b"]
    assert base == named(direct)
    assert {name[0] for name in named(again)[:20]} == {"b", "h"}


def test_an_order_that_was_once_given_is_given_for_ever(files: dict[str, Path], tmp_path: Path) -> None:
    rows, _ = mixed(files, tmp_path / "out", {"shares": {"hops": 1}, "rows": 6}, seed=1)
    assert named(rows) == ["h2", "h26", "h23", "h41", "h10", "h7"]


def test_a_source_that_is_too_small_is_refused_or_repeated(files: dict[str, Path], tmp_path: Path) -> None:
    phase = {"shares": {"hops": 1}, "rows": 100}
    with pytest.raises(MixError, match="phase 1 needs 100 rows of hops, which has 45 left"):
        mixed(files, tmp_path / "out", phase)
    rows, told = mixed(files, tmp_path / "out", {**phase, "repeat": True})
    assert {named(rows).count(one) for one in set(named(rows))} == {2, 3}
    assert told["sources"]["hops"]["used"] == 45


def test_many_buckets_give_the_same_file(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = mixed(files, tmp_path / "one", {"order": "curriculum"})
    monkeypatch.setattr(writing, "_BUCKET_ROWS", 4)
    monkeypatch.setattr(writing, "_BATCH_ROWS", 3)
    assert mixed(files, tmp_path / "two", {"order": "curriculum"})[0] == rows


def test_a_bucket_is_bounded_where_rows_are_heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text is small and there is much of it: by the average of all rows a bucket of images would be far too large."""
    base = [verl_row("base", number, b"b", graded=False) for number in range(3_000)]
    hops = [verl_row("hops", number, random.Random(number).randbytes(20_000)) for number in range(100)]
    files = {"base": put(tmp_path / "base.parquet", base, group=500), "hops": put(tmp_path / "hops.parquet", hops)}
    sizes, read = [], writing._bucket
    monkeypatch.setattr(writing, "_bucket", lambda path, *more: sizes.append(path.stat().st_size) or read(path, *more))
    monkeypatch.setattr(writing, "_BUCKET_BYTES", 200_000)
    mixed(files, tmp_path / "out", {"shares": {"base": 1}}, {"shares": {"hops": 1}})
    assert max(sizes) < 2 * 200_000
    sizes.clear()
    mixed({"mixed": tmp_path / "out/train.parquet"}, tmp_path / "again", {"order": "curriculum"})
    assert max(sizes) < 2 * 200_000  # its row groups differ as its sources did


def test_other_columns_are_named_with_file_and_both_types(files: dict[str, Path], tmp_path: Path) -> None:
    info = VERL.get_field_index("extra_info")
    other = VERL.set(info, pa.field("extra_info", pa.struct([("index", pa.string())])))
    rows = [{**verl_row("more", 1, graded=False), "extra_info": {"index": "one"}}]
    files["more"] = put(tmp_path / "more.parquet", rows, other)
    with pytest.raises(SchemaError) as caught:
        mixed(files, tmp_path / "out", {})
    told = str(caught.value)
    assert "more.parquet: column extra_info.index is string; in" in told
    assert "base.parquet it is int64" in told
    with pytest.raises(SchemaError, match=r"extra_info\.index is string"):  # nothing fills two types
        mixed(files, tmp_path / "out", {}, align=True)
    assert not (tmp_path / "out").exists()


def test_align_fills_what_a_file_lacks(files: dict[str, Path], tmp_path: Path) -> None:
    info = VERL.get_field_index("extra_info")
    other = VERL.set(info, pa.field("extra_info", pa.struct([("index", pa.int64()), ("split", pa.string())])))
    other = other.remove(other.get_field_index("ability"))
    other = other.remove(other.get_field_index("images"))
    row = verl_row("more", 1, graded=False)
    del row["ability"], row["images"]
    files["more"] = put(tmp_path / "more.parquet", [{**row, "extra_info": {"index": 1, "split": "train"}}], other)
    with pytest.raises(SchemaError, match="--align"):
        mixed(files, tmp_path / "out", {})
    rows, _ = mixed(files, tmp_path / "out", {}, align=True)
    (more,) = [row for row in rows if row["data_source"] == "more"]
    assert more["images"] == []  # EasyR1 counts them, and null has no length
    assert more["extra_info"]["split"] == "train"
    assert more["ability"] is more["extra_info"]["band"] is None
    assert {row["extra_info"]["band"] for row in rows} == {None, *BANDS}


def test_validation_gets_the_columns_of_the_mix(files: dict[str, Path], tmp_path: Path) -> None:
    """Trainers load both as one data set."""
    rows = [verl_row("held", number, f"v{number}".encode()) for number in range(9)]
    put(tmp_path / "held.parquet", rows)
    more = [{**verl_row("more", 1, graded=False), "topic": "cars"}]
    put(tmp_path / "more.parquet", more, VERL.append(pa.field("topic", pa.string())))
    spec = tmp_path / "mix.toml"
    spec.write_text("validation = 'held.parquet'\nalign = true\n[sources]\nmore = 'more.parquet'\n[[phase]]\n")
    mix(MixSpec.read(spec, sources={"hops": [files["hops"]]}), tmp_path / "out")
    assert not list(mixed_columns([tmp_path / "out/train.parquet", tmp_path / "out/validation.parquet"]))
    held = pq.read_table(tmp_path / "out/validation.parquet").to_pylist()
    assert [{**row, "topic": None} for row in rows] == held
    mix(MixSpec.of({"sources": {"hops": [files["hops"]]}, "phases": [{}]}, "test"), tmp_path / "out")
    assert not (tmp_path / "out/validation.parquet").exists()  # one of another mix has other columns


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed = ", "mix.toml: "),
        ("[sources]\nhops = 'h.parquet'\n[[phase]]\nshares = { base = 1 }", "phase 1 takes rows of 'base'"),
        ("[sources]\nhops = 'h.parquet'\n[[phase]]\norder = 'hard'", r"phase\.0\.order"),
        ("[sources]\nhops = 'h.parquet'\n[[phase]]\nsize = 3", r"phase\.0\.size"),
        (
            "[sources]\nhops = 'h.parquet'\n[[phase]]\nshares = { hops = inf }",
            r"phase\.0\.shares\.hops: .*finite number",
        ),
        ("[sources]\nhops = 'h.parquet'\n[[phase]]\nshares = { hops = nan }", r"phase\.0\.shares\.hops: "),
        ("[sources]\nhops = 'h.parquet'\n[[phase]]\nrows = 1000000000000", r"phase\.0\.rows: .*less than or equal to"),
        (f"seed = {2**127}\n[sources]\nhops = 'h.parquet'\n[[phase]]\n", "seed: Input should be less than"),
        ("[[phase]]\nrows = 3", "sources"),
        ("sources = 3", "sources is no table"),
        ("[sources]\nhops = 'h.parquet'\nbase = 3\n[[phase]]\n", r"sources\.base\.0: "),
        ("[sources]\nhops = ['h.parquet', { a = 1 }]\n[[phase]]\n", r"sources\.hops\.1: "),
        ("[sources]\nhops = []\n[[phase]]\n", r"sources\.hops: List should have at least 1 item"),
        ("validation = 3\n[sources]\nhops = 'h.parquet'\n[[phase]]\n", "validation: "),
        ("[sources]\na = 'a.parquet'\nb = 'b.parquet'\n[[phase]]\nrows = 3", "phase 1 has rows, but no shares"),
        ("[sources]\nhops = 'h.parquet'\n[[phase]]\n", r"h\.parquet is no file"),
    ],
)
def test_a_wrong_spec_is_told_with_its_place(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "mix.toml"
    file.write_text(text)
    with pytest.raises(MixError, match=told):
        mix(MixSpec.read(file), tmp_path / "out")


def test_the_command_with_a_file_and_without(files: dict[str, Path], tmp_path: Path) -> None:
    spec = tmp_path / "mix.toml"
    spec.write_text("[sources]\nhops = 'hops.parquet'\n\n[[phase]]\nrows = 10\nshares = { base = 1, hops = 1 }\n")
    given = [f"--source={name}={file}" for name, file in files.items()]
    one = CliRunner().invoke(app, ["train", "mix", str(spec), given[0], "--out", str(tmp_path / "one"), "--json"])
    assert one.exit_code == 0, one.output
    assert json.loads(one.stdout)["phases"][0]["sources"].keys() == {"base", "hops"}
    two = CliRunner().invoke(app, ["train", "mix", *given, "--curriculum", "--out", str(tmp_path / "two")])
    assert two.exit_code == 0, two.output
    assert named(pq.read_table(tmp_path / "two/train.parquet").to_pylist())[0][0] == "b"
    wrong = CliRunner().invoke(app, ["train", "mix", str(spec), "--interleave", "--out", str(tmp_path / "three")])
    assert "--interleave" in str(wrong.exception)
