"""Every format says the same things in its own way, and no file of a stranger can do more than be refused."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from hopchain_etl.labels.entries import Entry, LabelError, LabelFileError, LabelledPhoto, LabelledThing, Mistake, noun
from hopchain_etl.labels.files import FileReader
from hopchain_etl.labels.outlines import box_of, mask_of

WIDTH, HEIGHT = 320, 240
PIXELS = [[*range(20, 70)], [*range(20, 80)]]  # columns and rows of the cat in every example

COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 20, 50, 60], "attributes": {"wet": True}}],
    "categories": [{"id": 1, "name": "cat"}],
}
VOC = """<annotation><folder>x</folder><filename>a.png</filename>
<size><width>320</width><height>240</height><depth>3</depth></size>
<object><name>cat</name><difficult>0</difficult>
<bndbox><xmin>20</xmin><ymin>20</ymin><xmax>70</xmax><ymax>80</ymax></bndbox>
<attributes><attribute><name>wet</name><value>true</value></attribute></attributes></object></annotation>"""
CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><name>t</name></task></meta>
<image id="0" name="a.png" width="320" height="240">
<box label="cat" xtl="20" ytl="20" xbr="70" ybr="80" occluded="0"><attribute name="wet">true</attribute></box>
</image></annotations>"""
STUDIO = [
    {
        "id": 5,
        "data": {"image": "/data/upload/1/0a1b2c3d-a.png"},
        "annotations": [
            {"was_cancelled": True, "result": []},
            {
                "result": [
                    {
                        "id": "r1",
                        "type": "rectanglelabels",
                        "original_width": WIDTH,
                        "original_height": HEIGHT,
                        "value": {
                            "x": 100 * 20 / WIDTH,
                            "y": 100 * 20 / HEIGHT,
                            "width": 100 * 50 / WIDTH,
                            "height": 25,
                            "rotation": 0,
                            "rectanglelabels": ["cat"],
                        },
                    },
                    {"id": "r1", "type": "choices", "from_name": "wet", "value": {"choices": ["true"]}},
                ]
            },
        ],
    }
]
YOLO = "0 0.140625 0.2083333 0.15625 0.25\n"


def read(name: str, data: Any, names: str | None = None) -> list[Entry]:
    """Return what a file says; ``names`` are those of a data.yaml beside it."""
    reader = FileReader()
    if names is not None:
        assert list(reader.entries("data.yaml", io.BytesIO(names.encode()))) == []
    raw = data if isinstance(data, bytes) else (data if isinstance(data, str) else json.dumps(data)).encode()
    return list(reader.entries(name, io.BytesIO(raw)))


def things(found: list[Entry]) -> list[LabelledThing]:
    return [one for one in found if isinstance(one, LabelledThing)]


@pytest.mark.parametrize(
    ("name", "data", "names"),
    [
        pytest.param("labels.json", COCO, None, id="coco"),
        pytest.param("a.xml", VOC, None, id="voc"),
        pytest.param("annotations.xml", CVAT, None, id="cvat"),
        pytest.param("export.json", STUDIO, None, id="label-studio"),
        pytest.param("labels/a.txt", YOLO, "names: [cat, dog]", id="yolo"),
        pytest.param("labels/a.txt", YOLO, "names:\n  0: cat\n  1: dog\n", id="yolo-map"),
    ],
)
def test_each_format_says_the_same(name: str, data: Any, names: str | None) -> None:
    found = read(name, data, names)
    (photo,) = [one for one in found if isinstance(one, LabelledPhoto)]
    (thing,) = things(found)
    assert photo.size in (None, (WIDTH, HEIGHT))
    assert (photo.name or "").rsplit("/", 1)[-1].endswith(("a.png", "a"))
    assert thing.photo == photo.id
    assert box_of(mask_of(thing, WIDTH, HEIGHT)) == [20, 20, 70, 80]
    if names is None:
        assert thing.attributes["wet"] == "true"
    if names is not None or not isinstance(data, dict):
        assert thing.category == "cat"
    assert not [one for one in found if isinstance(one, Mistake)]


def test_shapes_of_cvat() -> None:
    shapes = """<polygon label="cat" points="20,20;70,20;70,80;20,80"/>
    <mask label="cat" left="20" top="20" width="50" height="60" rle="0, 3000"/>
    <ellipse label="cat" cx="100" cy="100" rx="30" ry="20"/>
    <box label="cat" xtl="150" ytl="50" xbr="190" ybr="150" rotation="90"/>
    <polyline label="cat" points="1,1;2,2"/><tag label="rain"/>"""
    found = read("a.xml", CVAT.replace("</image>", shapes + "</image>"))
    boxes = [box_of(mask_of(one, WIDTH, HEIGHT)) for one in things(found)]
    assert boxes[:3] == [[20, 20, 70, 80]] * 3
    assert boxes[3] == pytest.approx([70, 80, 130, 120], abs=1)
    assert boxes[4] == pytest.approx([120, 80, 220, 120], abs=1)
    assert [one.reason for one in found if isinstance(one, Mistake)] == ["unsupported_shape"]


@pytest.mark.parametrize(
    ("sides", "reason"),
    [
        ('left="280" top="20" width="50" height="60" rle="0, 3000"', "outside"),
        ('left="20" top="190" width="50" height="60" rle="0, 3000"', "outside"),
        ('left="-1" top="20" width="50" height="60" rle="0, 3000"', "outside"),
        ('left="20" top="20" width="0" height="60" rle="0"', "outside"),
        ('left="20" top="20" width="50" height="60" rle="0, 2999"', "bad_mask"),
        ('left="20" top="20" width="50" height="60" rle="-1, 3001"', "bad_mask"),
        ('left="20.5" top="20" width="50" height="60" rle="0, 3000"', "bad_number"),
        ('left="20" top="20" width="50" height="60" rle="0.5, 2999.5"', "bad_number"),
        ('left="20" top="20" width="50" height="60"', "bad_number"),
        ('top="20" width="50" height="60" rle="0, 3000"', "bad_number"),
    ],
)
@pytest.mark.parametrize("size", ['width="320" height="240"', 'width="900000" height="900000"', ""])
def test_a_mask_of_cvat_is_held_against_the_photo_itself(sides: str, reason: str, size: str) -> None:
    text = CVAT.replace('width="320" height="240"', size).replace("<box ", f'<mask label="cat" {sides}/><box ')
    found = read("a.xml", text)
    masks = [one for one in things(found) if one.rle is not None]
    if masks:
        with pytest.raises(LabelError) as caught:
            mask_of(masks[0], WIDTH, HEIGHT)
        assert caught.value.reason == reason
    else:
        assert [(one.reason, one.id) for one in found if isinstance(one, Mistake)] == [(reason, "0, shape 1")]


def test_a_region_that_was_drawn_at_another_size_or_on_a_turned_photo_is_a_mistake() -> None:
    task = json.loads(json.dumps(STUDIO[0]))
    result = task["annotations"][1]["result"]
    result += [
        {**result[0], "id": "r2", "original_width": WIDTH * 2},
        {**result[0], "id": "r3", "image_rotation": 90},
    ]
    found = read("a.json", [task])
    assert len(things(found)) == 1
    assert [one.reason for one in found if isinstance(one, Mistake)] == ["label_size"] * 2


@pytest.mark.parametrize(
    ("data", "tags", "name"),
    [
        ({"before": "s3://b/a.png", "after": "s3://b/b.png"}, ["left", "right"], None),
        ({"before": "s3://b/a.png", "after": "s3://b/b.png"}, ["right"], None),
        ({"before": "s3://b/a.png", "after": "s3://b/b.png"}, ["after"], "s3://b/b.png"),
        ({"image": "s3://b/a.png", "thumb": "s3://b/b.png"}, ["img"], "s3://b/a.png"),
        ({"asked": "What is it?", "photo": "https://b/a.png?X-Amz-Date=1"}, ["img"], "https://b/a.png?X-Amz-Date=1"),
        ({"photo": "/data/upload/1/0a1b2c3d-a"}, ["img"], "/data/upload/1/0a1b2c3d-a"),
    ],
)
def test_regions_of_label_studio_are_on_one_picture_that_is_known(
    data: dict[str, str], tags: list[str], name: str | None
) -> None:
    region = STUDIO[0]["annotations"][1]["result"][0]  # type: ignore[index]
    result = [{**region, "id": tag, "to_name": tag} for tag in tags]
    found = read("a.json", [{"id": 5, "data": data, "annotations": [{"result": result}]}])
    assert [one.name for one in found if isinstance(one, LabelledPhoto)] == ([name] if name else [])
    mistakes = [(one.reason, one.id) for one in found if isinstance(one, Mistake)]
    assert mistakes == ([] if name else [("ambiguous_photo", "5")])
    assert len(things(found)) == (1 if name else 0)


@pytest.mark.parametrize("rle", [{"size": [240, 320], "counts": [0.5, 76799.5]}, {"size": [240.5, 320], "counts": [9]}])
def test_runs_of_coco_are_whole_numbers(rle: dict[str, Any]) -> None:
    one = {**COCO["annotations"][0], "segmentation": rle}  # type: ignore[index]
    found = read("a.json", {**COCO, "annotations": [one]})
    assert [one.reason for one in found if isinstance(one, Mistake)] == ["bad_number"]


def test_polygons_of_yolo_and_lines_that_are_none() -> None:
    lines = ["1 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5", "7 0.5 0.5 0.1 0.1", "0 0.5 0.5 0.1", "0 nan 0.5 0.1 0.1"]
    found = read("a.txt", "\n".join(lines), "names: [cat, dog]")
    (polygon,) = things(found)
    assert polygon.category == "dog"
    assert box_of(mask_of(polygon, WIDTH, HEIGHT)) == [32, 24, 160, 120]
    mistakes = [(one.id, one.reason) for one in found if isinstance(one, Mistake)]
    assert mistakes == [("line 2", "unknown_category"), ("line 3", "bad_polygon"), ("line 4", "bad_number")]


def test_yolo_takes_the_nearest_names_and_needs_some() -> None:
    reader = FileReader()
    for name, text in (("one/classes.txt", "cat\ndog"), ("two/obj.names", "cup\npen")):
        assert list(reader.entries(name, io.BytesIO(text.encode()))) == []
    assert things(list(reader.entries("two/labels/a.txt", io.BytesIO(YOLO.encode()))))[0].category == "cup"
    with pytest.raises(LabelFileError, match=r"classes\.txt") as caught:
        list(reader.entries("three/a.txt", io.BytesIO(YOLO.encode())))
    assert caught.value.reason == "no_names"


def test_texts_and_captions_of_label_studio() -> None:
    task = json.loads(json.dumps(STUDIO[0]))
    result = task["annotations"][1]["result"]
    result.append({"id": "r1", "type": "textarea", "from_name": "transcription", "value": {"text": ["STOP"]}})
    result.append({"id": "c", "type": "choices", "from_name": "weather", "value": {"choices": ["rain"]}})
    result.append({"id": "b", "type": "brushlabels", "value": {"format": "rle", "rle": [1], "brushlabels": ["cat"]}})
    result.append(
        {"id": "k", "type": "keypointlabels", "value": {"x": 5, "y": 5, "width": 1, "keypointlabels": ["cat"]}}
    )
    found = read("a.json", [task])
    assert [one.text for one in things(found)] == ["STOP"]
    assert "Caption(photo='5', text='rain')" in map(str, found)
    told = [(one.reason, one.detail) for one in found if isinstance(one, Mistake)]
    kinds = ("brushlabels", "keypointlabels")
    assert told == [("unsupported_shape", f"a region of the type '{kind}'") for kind in kinds]


@pytest.mark.parametrize(
    "data",
    [
        '<!DOCTYPE a [<!ENTITY x "ha">]><annotation><filename>&x;</filename></annotation>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>',
        "<a>" * 100_000,
        "<annotation>" * 1000 + "</annotation>" * 1000,
        "<html></html>",
        '<annotations><track id="0" label="cat"><box frame="0" xtl="1" ytl="1" xbr="9" ybr="9"/></track></annotations>',
        "<annotations><object><name>cat</name></object></annotations>",
        VOC[:-20],
        "[1, 2]",
        '{"some": "file"}',
        "0 0.5",
        "these are words",
        b"\x00\xff\xfe",
        b"{\xff",
        '{"images": [' + "1" * 10_000 + "]}",
        '{"images": [' * 10_000,
        '{"images": [{"id": 1}]} and more',
        '{"images": [{"id": 1} {"id": 2}]}',
    ],
)
def test_a_file_that_is_none_is_refused_as_a_whole(data: str | bytes) -> None:
    with pytest.raises(LabelFileError):
        read("a.txt", data)


def test_json_may_be_cut_anywhere_into_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read("a.json", COCO)
    for size in (1, 2, 7):
        monkeypatch.setattr("hopchain_etl.labels.json_stream._CHUNK", size)
        assert read("a.json", COCO) == whole


@given(st.sampled_from(["a.json", "a.xml", "a.txt", "data.yaml"]), st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(name: str, data: bytes) -> None:
    usable(name, data)


@given(st.data())
def test_no_damage_to_a_good_file_does_more_than_be_refused(data: st.DataObject) -> None:
    name, good = data.draw(
        st.sampled_from(
            [
                ("a.json", json.dumps(COCO)),
                ("a.json", json.dumps(STUDIO)),
                ("a.xml", VOC),
                ("a.xml", CVAT),
                ("a.txt", YOLO),
                ("data.yaml", "names: [cat]"),
            ]
        )
    )
    raw = bytearray(good.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=4))
        if not raw:
            break
    usable(name, bytes(raw))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("a.png"),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["id", "image_id", "category_id", "bbox", "segmentation", "iscrowd", "attributes", "file_name", "width", "name"]


@given(st.dictionaries(st.sampled_from(KEYS), VALUES), st.dictionaries(st.sampled_from(["size", "counts"]), VALUES))
def test_no_values_do_more_than_be_refused(item: dict[str, Any], rle: dict[str, Any]) -> None:
    for one in (item, {"id": 1, "image_id": 1, "category_id": 1, "segmentation": rle}, {**item, "segmentation": rle}):
        for key in ("images", "annotations", "categories"):
            usable("a.json", json.dumps({key: [one]}).encode())


def usable(name: str, data: bytes) -> None:
    """Read a file and use all that it says; only the errors that say what is wrong may come out."""
    try:
        found = read(name, data, "names: [cat]" if name == "a.txt" else None)
    except LabelFileError:
        return
    for thing in things(found):
        try:
            mask = mask_of(thing, 32, 24)
            noun(thing.category)
        except LabelError:
            continue
        assert 0 < coco.area({**mask, "counts": mask["counts"].encode()}) <= 32 * 24


def test_a_turned_box_without_finite_corners_is_refused() -> None:
    task = json.loads(json.dumps(STUDIO[0]))
    value = task["annotations"][1]["result"][0]["value"]
    value |= {"x": 0, "y": 0, "width": 1.7e308, "height": 1.7e308, "rotation": 5e-324}
    (thing,) = things(read("a.json", [task]))
    with pytest.raises(LabelError) as caught:
        mask_of(thing, WIDTH, HEIGHT)
    assert caught.value.reason == "bad_number"


@given(st.lists(st.floats(), min_size=6, max_size=6), st.booleans())
def test_no_numbers_of_an_outline_do_more_than_be_refused(numbers: list[float], in_shares: bool) -> None:
    x1, y1, x2, y2 = numbers[:4]
    for outline in ({"polygons": (tuple(numbers),)}, {"box": (x1, y1, x2, y2)}):
        try:
            mask = mask_of(LabelledThing("1", "1", "cat", in_shares=in_shares, **outline), 32, 24)  # type: ignore[arg-type]
        except LabelError:
            continue
        assert 0 < coco.area({**mask, "counts": mask["counts"].encode()}) <= 32 * 24


def test_a_mask_of_runs_takes_a_byte_for_each_pixel() -> None:
    rle = {"window": [0, 0, 2000, 2000], "counts": [0, 2000 * 2000]}
    thing = LabelledThing("1", "1", "cat", rle=rle)
    mask_of(thing, 2000, 2000)  # what is loaded at the first call does not count
    tracemalloc.start()
    try:
        mask_of(thing, 2000, 2000)
        assert tracemalloc.get_traced_memory()[1] < 3 * 2000 * 2000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Café", "cafe"), ("Mädchen", "madchen"), ("Cat_(animal)", "cat"), ("Straße 2", "strasse 2"), ("ＴＶ", "tv")],
)
def test_a_category_becomes_a_noun_of_plain_letters(name: str, expected: str) -> None:
    assert noun(name) == expected


@pytest.mark.parametrize("name", ["кошка", "cat 猫", "smørbrød", "(cat)", "7"])
def test_a_category_in_other_letters_is_unknown(name: str) -> None:
    with pytest.raises(LabelError) as caught:
        noun(name)
    assert caught.value.reason == "unknown_category"


@pytest.mark.parametrize("line", [YOLO, "0 0.5 0.5 0.2 0.2 0.4 0.4 2 0.6 0.6 2\n"])
def test_poses_of_yolo_are_refused(line: str) -> None:
    with pytest.raises(LabelFileError, match="kpt_shape") as caught:
        read("labels/a.txt", line, "names: [cat]\nkpt_shape: [2, 3]")
    assert caught.value.reason == "unknown_format"


def test_tasks_that_nobody_has_labelled_yet_say_nothing_and_are_no_mistake() -> None:
    assert read("a.json", [{"id": 1, "data": {"image": "a.png"}, "annotations": []}]) == []
    with pytest.raises(LabelFileError):
        read("a.json", [])


def test_an_early_error_in_a_large_file_is_told_as_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hopchain_etl.labels.json_stream._CHUNK", 100)
    monkeypatch.setattr("hopchain_etl.labels.json_stream.MOST_CHARACTERS", 2_000)
    more = ", ".join('{"id": 1}' for _ in range(1_000))
    with pytest.raises(LabelFileError) as caught:
        read("a.json", '{"images": [{"id" 1}, ' + more + "]}")
    assert caught.value.reason == "broken_file"
    with pytest.raises(LabelFileError) as caught:
        read("a.json", '{"images": [{"id": [' + more + "]}]}")
    assert caught.value.reason == "too_large"


def test_words_of_json_may_be_cut_anywhere_into_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    image = {"id": 1, "file_name": '\U0001f408a"\\n.png', "a": [True, False, None, -1.5e-3, float("-inf")], "b": {}}
    data = {"images": [image] * 9}
    whole = read("a.json", data)
    for size in range(1, 24):
        monkeypatch.setattr("hopchain_etl.labels.json_stream._CHUNK", size)
        assert read("a.json", data) == whole
