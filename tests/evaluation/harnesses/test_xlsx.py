"""Excel files without Excel's library: what cells hold, and files that want to do harm."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.evaluation.harnesses import xlsx
from hopchain_etl.evaluation.harnesses.xlsx import xlsx_rows
from support import harness_logs


def sheet(path: Path, xml: str, strings: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", xml)
        if strings:
            archive.writestr("xl/sharedStrings.xml", strings)
    return path


def test_cells_are_what_was_written(tmp_path: Path) -> None:
    path = harness_logs.xlsx(tmp_path / "a.xlsx", [["index", "text", "b"], [7, None, "a < b & c\nd"], [0.5, "x", "y"]])
    assert list(xlsx_rows(path)) == [
        (1, ["index", "text", "b"]),
        (2, ["7", None, "a < b & c\nd"]),
        (3, ["0.5", "x", "y"]),
    ]


def test_kinds_of_cells(tmp_path: Path) -> None:
    cells = (
        '<c r="A1" t="b"><v>1</v></c><c r="C1" t="str"><v>f_x000D_</v></c>'
        '<c r="D1" t="inlineStr"><is><t>in</t></is></c>'
        '<c r="AA1" t="s"><v>0</v></c>'
    )
    strings = "<sst><si><r><t>two </t></r><r><t>fonts</t></r></si></sst>"
    path = sheet(tmp_path / "a.xlsx", f"<worksheet><sheetData><row>{cells}</row></sheetData></worksheet>", strings)
    ((number, row),) = xlsx_rows(path)
    assert number == 1
    assert (row[0], row[1], row[2], row[3], row[26]) == ("True", None, "f\r", "in", "two fonts")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1), min_size=1))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    texts = [text for text in texts if "_x" not in text and "￾" not in text and "￿" not in text] or ["a"]
    path = harness_logs.xlsx(tmp_path_factory.mktemp("x") / "a.xlsx", [[text] for text in texts])
    assert [row for _, row in xlsx_rows(path)] == [[text] for text in texts]


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]><worksheet>&b;</worksheet>', "document type"),
        ("<worksheet><sheetData><row>", "XML is damaged"),
        ('<worksheet><row r="1"><c r="A1" t="s"><v>5</v></c></row></worksheet>', "refers to the text 5"),
        ('<worksheet><row r="1"><c r="ZZZZZZ1"><v>5</v></c></row></worksheet>', "no cell"),
        ('<worksheet><row r="one"></row></worksheet>', "invalid literal"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, xml: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        list(xlsx_rows(sheet(tmp_path / "a.xlsx", xml)))


def test_no_more_is_unpacked_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "LARGEST", 3_000_000)
    with pytest.raises(ValueError, match="more than"):
        list(xlsx_rows(sheet(tmp_path / "a.xlsx", "<worksheet>" + " " * 4_000_000 + "</worksheet>")))


def test_a_text_in_no_element_of_texts_is_nobodys(tmp_path: Path) -> None:
    cells = '<worksheet><row r="1"><c r="A1" t="s"><v>0</v></c></row></worksheet>'
    strings = "<sst><t>stray</t><si><t>text</t></si></sst>"
    assert list(xlsx_rows(sheet(tmp_path / "a.xlsx", cells, strings))) == [(1, ["text"])]


def test_a_damaged_archive_is_told_wherever_the_damage_is(tmp_path: Path) -> None:
    whole = harness_logs.xlsx(tmp_path / "a.xlsx", [["index", "text"], *([n, f"text {n * n}"] for n in range(40))])
    content = whole.read_bytes()
    damaged = tmp_path / "damaged.xlsx"
    told = set()
    for place in range(0, len(content), 7):
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            list(xlsx_rows(damaged))
        except ValueError as error:  # and nothing else; some bytes matter to nobody
            told.add(str(error).partition(":")[0])
    assert "it is no Excel file, or damaged" in told


@pytest.mark.parametrize("kind", ["s", "inlineStr"])
def test_how_a_text_is_pronounced_is_no_part_of_it(tmp_path: Path, kind: str) -> None:
    said = '<r><t>四つ</t></r><rPh sb="0" eb="1"><t>ヨッ</t></rPh><phoneticPr fontId="1"/><r><t>です</t></r>'
    cell = '<c r="A1" t="s"><v>0</v></c>' if kind == "s" else f'<c r="A1" t="inlineStr"><is>{said}</is></c>'
    path = sheet(tmp_path / "a.xlsx", f"<worksheet><row>{cell}</row></worksheet>", f"<sst><si>{said}</si></sst>")
    assert list(xlsx_rows(path)) == [(1, ["四つです"])]
