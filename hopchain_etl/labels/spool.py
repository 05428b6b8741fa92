"""Spool: the entries of all label files and the photos of the lake in a temporary database on disk.

Files of several hundred MB name photos, categories and annotations in any order; only what concerns one photo is in
memory at a time.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from hopchain_etl.hops.spelling import composed
from hopchain_etl.labels.entries import (
    Caption,
    CategoryName,
    Entry,
    LabelFileError,
    LabelledPhoto,
    LabelledThing,
    Mistake,
    Stated,
)
from hopchain_etl.labels.names import alike, candidates, folders, nearness, steps, without_suffix

MOST_TOLD = 200  # mistakes of one kind in one file that are told one by one; the rest is counted
_CERTAIN = 1_000  # folders in common, for a photo that is known by its sha256
MOST_THINGS = 2_000  # annotations of a photo; more are not believed

_TABLES = """
CREATE TABLE lake (uri TEXT PRIMARY KEY, name TEXT, stem TEXT, image TEXT);
CREATE INDEX lake_name ON lake (name);
CREATE INDEX lake_stem ON lake (stem);
CREATE INDEX lake_image ON lake (image);
CREATE TABLE photos (
  file INTEGER, id TEXT, image TEXT, shared INTEGER, entry TEXT, uri TEXT, sole TEXT, PRIMARY KEY (file, id)
) WITHOUT ROWID;
CREATE INDEX photos_image ON photos (image);
CREATE INDEX photos_sole ON photos (uri, sole) WHERE sole != '';
CREATE TABLE files (file INTEGER PRIMARY KEY, uri TEXT);
CREATE TABLE things (place INTEGER PRIMARY KEY, file INTEGER, id TEXT, photo TEXT, entry TEXT);
CREATE UNIQUE INDEX things_id ON things (file, id);
CREATE INDEX things_photo ON things (file, photo);
CREATE TABLE captions (file INTEGER, photo TEXT, text TEXT);
CREATE INDEX captions_photo ON captions (file, photo);
CREATE TABLE categories (file INTEGER, id TEXT, name TEXT, PRIMARY KEY (file, id)) WITHOUT ROWID;
CREATE TABLE stated (file INTEGER PRIMARY KEY, exhaustive INTEGER);
CREATE TABLE faults (file INTEGER, photo TEXT, reason TEXT, detail TEXT, id TEXT, category TEXT);
CREATE INDEX faults_photo ON faults (file, photo);
"""


@dataclass(frozen=True)
class FileLabels:
    """What one file says of one photo of the lake."""

    file: int
    photo: LabelledPhoto
    things: tuple[LabelledThing, ...]
    captions: tuple[str, ...]
    mistakes: tuple[Mistake, ...]  # found while the file was read


class Spool:
    """A database in ``folder``; use it in a ``with`` statement. Files are numbered by who adds them."""

    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / "labels.sqlite", isolation_level=None)
        self._db.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;")
        self._db.executescript(_TABLES)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._db.close()

    # --- writing ---

    def add_photos(self, rows: Iterable[tuple[str, str | None]], *, refused: bool = False) -> None:
        """Add photos by uri and image_id. Of two with the same uri, the first counts.

        ``refused`` photos are not in the lake and come after all that are: they must not be taken for others of their
        name. One whose image_id the lake has is a copy of that photo.
        """
        image = "(SELECT image FROM lake WHERE image = ? LIMIT 1)" if refused else "?"
        sql = f"INSERT OR IGNORE INTO lake VALUES (?, ?, ?, {image})"  # noqa: S608 - one of two words
        with self._transaction():
            for uri, image_id in rows:
                name = composed(uri.rsplit("/", 1)[-1])
                self._db.execute(sql, (uri, name, without_suffix(name), image_id))

    def add_file(self, file: int, uri: str, entries: Iterable[Entry]) -> None:
        """Add what a file says, all of it or, if ``entries`` raises, nothing."""
        with self._transaction():
            try:
                self._db.execute("INSERT INTO files VALUES (?, ?)", (file, uri))
                for entry in entries:
                    self._add(file, uri, entry)
                self._keep_likeliest(file)
            except UnicodeEncodeError as error:
                raise LabelFileError("broken_file", f"text that is no Unicode: {error.reason}") from error

    def _add(self, file: int, uri: str, entry: Entry) -> None:
        match entry:
            case LabelledThing():
                known = Mistake("duplicate_id", "another annotation has this id", entry.id, entry.photo, entry.category)
                sql = "INSERT OR IGNORE INTO things (file, id, photo, entry) VALUES (?,?,?,?)"
                self._insert(sql, (file, entry.id, entry.photo, json.dumps(vars(entry))), known)
            case LabelledPhoto():
                image, shared, at, why = self._find(entry, uri)
                known = Mistake("duplicate_id", "another photo has this id", entry.id)
                said = json.dumps(vars(entry))
                row = (file, entry.id, image, shared, said, at, entry.sole)
                if not self._insert("INSERT OR IGNORE INTO photos VALUES (?,?,?,?,?,?,?)", row, known):
                    # Whose annotations these are, nobody can tell: neither photo gets them.
                    sql = "UPDATE photos SET image = NULL WHERE file = ? AND id = ? AND entry != ?"
                    self._db.execute(sql, (file, entry.id, said))
                elif why:
                    self._fault(file, Mistake(why, _unmatched(why, entry), entry.id))
            case CategoryName():
                known = Mistake("duplicate_id", "another category has this id", entry.id)
                named = (file, entry.id, entry.name)
                if not self._insert("INSERT OR IGNORE INTO categories VALUES (?,?,?)", named, known):
                    sql = "UPDATE categories SET name = NULL WHERE file = ? AND id = ? AND name != ?"
                    self._db.execute(sql, named)
            case Caption():
                self._db.execute("INSERT INTO captions VALUES (?,?,?)", (file, entry.photo, entry.text))
            case Stated():
                self._db.execute("INSERT OR REPLACE INTO stated VALUES (?,?)", (file, entry.exhaustive))
            case Mistake():
                self._fault(file, entry)

    def _keep_likeliest(self, file: int) -> None:
        """Of a file's entries that end at one photo, drop those with fewer folders in common with it."""
        sql = """SELECT id FROM photos AS p WHERE file = ? AND image IS NOT NULL AND EXISTS (
                 SELECT 1 FROM photos AS q WHERE q.image = p.image AND q.file = p.file AND q.shared > p.shared)"""
        for (name,) in self._db.execute(sql, (file,)).fetchall():
            self._db.execute("UPDATE photos SET image = NULL WHERE file = ? AND id = ?", (file, name))
            self._fault(file, Mistake("ambiguous_photo", "another photo of the file fits its name better", name))

    def drop_rivals(self) -> None:
        """Where several files of a format that has one for each photo end at the same one, keep the likeliest of them.

        That is the one whose folders are most alike those of the photo. None is kept if two are as likely and say
        different things: one of them is of another photo, and nobody can tell which. Call it once, after all files.
        """
        sql = """SELECT uri, sole FROM photos WHERE sole != '' AND image IS NOT NULL
                 GROUP BY uri, sole HAVING COUNT(*) > 1"""
        with self._transaction():
            for uri, sole in self._db.execute(sql).fetchall():
                self._drop_rivals_of(uri, sole)

    def _drop_rivals_of(self, uri: str, sole: str) -> None:
        sql = """SELECT file, id, shared, files.uri FROM photos JOIN files USING (file)
                 WHERE photos.uri = ? AND sole = ? AND image IS NOT NULL ORDER BY file"""
        within = folders(uri.split("/"))
        ranked = [
            ((shared, alike(folders(of.split("/")), within)), file, name, of)
            for file, name, shared, of in self._db.execute(sql, (uri, sole)).fetchall()
        ]
        most = max(rank for rank, *_ in ranked)
        best = [one for one in ranked if one[0] == most]
        same = len({self._said(file, name) for _, file, name, _ in best}) == 1
        for one in ranked:
            if one is best[0] and same:
                continue
            _, file, name, _ = one
            other = next(of for _, rival, _, of in best if rival != file)
            why = "says the same" if one in best and same else "fits as well" if one in best else "fits its name better"
            self._db.execute("UPDATE photos SET image = NULL WHERE file = ? AND id = ?", (file, name))
            self._fault(file, Mistake("ambiguous_photo", f"for the same photo as {other}, which {why}", name))

    def _said(self, file: int, name: str) -> tuple[str, ...]:
        """Return what a file says of the things in a photo, without the photo's name."""
        sql = "SELECT entry FROM things WHERE file = ? AND photo = ? ORDER BY place"
        things = (json.loads(entry) for (entry,) in self._db.execute(sql, (file, name)))
        return tuple(json.dumps({**one, "photo": ""}, sort_keys=True) for one in things)

    def _insert(self, sql: str, row: tuple[int | str | None, ...], known: Mistake) -> bool:
        """Insert a row whose first column is the file; return False, with a mistake, if its id is taken."""
        added = self._db.execute(sql, row).rowcount > 0
        if not added:
            self._fault(row[0], known)
        return added

    def _fault(self, file: int | str | None, one: Mistake) -> None:
        row = (file, one.photo or None, one.reason, one.detail, one.id, one.category or None)
        self._db.execute("INSERT INTO faults VALUES (?,?,?,?,?,?)", row)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- which photo of the lake is meant ---

    def _find(self, photo: LabelledPhoto, file: str) -> tuple[str | None, int, str | None, str | None]:
        """Return the image_id that a file's photo is, how many folders say so, the uri, and why there is none."""
        if photo.sha256:
            known = self._db.execute("SELECT 1 FROM lake WHERE image = ?", (photo.sha256,)).fetchone()
            return (photo.sha256, _CERTAIN, None, None) if known else (None, 0, None, "unknown_photo")
        most, found = self._named(steps(photo.name or ""))
        if len(found) > 1:  # those that lie nearest to the file itself
            near = [nearness(uri, file) for uri, _ in found]
            found = [one for one, how_near in zip(found, near, strict=True) if how_near == max(near)]
            found = _as_written(found, photo.name or "")
        images = {image for _, image in found}
        if len(images) > 1:
            return None, most, None, "ambiguous_photo"
        image = images.pop() if images else None
        return image, most, min((uri for uri, _ in found), default=None), None if image else "unknown_photo"

    def _named(self, path: list[str]) -> tuple[int, list[tuple[str, str | None]]]:
        """Return uri and image_id of the photos that go by a path, and how many folders they have in common with it.

        These are the most that any photo has; a path with folders must share the last of them.
        """
        within = folders(path)
        for column, name in candidates(path):
            sql = f"SELECT uri, image FROM lake WHERE {column} = ?"  # noqa: S608 - one of two words
            found = self._db.execute(sql, (name,)).fetchall()
            shared = [alike(within, folders(uri.split("/"))) for uri, _ in found]
            most = max(shared, default=0)
            if found and (most or not within):
                return most, [one for one, length in zip(found, shared, strict=True) if length == most]
        return 0, []

    # --- reading ---

    def labels_of(self, image: str) -> list[FileLabels]:
        """Return what the files say of a photo of the lake, in the order of the files."""
        photos = self._db.execute("SELECT file, id, entry FROM photos WHERE image = ? ORDER BY file, id", (image,))
        return [self._labels(file, name, _photo(entry)) for file, name, entry in photos.fetchall()]

    def _labels(self, file: int, name: str, photo: LabelledPhoto) -> FileLabels:
        at = (file, name)
        sql = "SELECT entry FROM things WHERE file = ? AND photo = ? ORDER BY place LIMIT ?"
        things = tuple(_thing(entry) for (entry,) in self._db.execute(sql, (*at, MOST_THINGS + 1)))
        captions = self._db.execute("SELECT text FROM captions WHERE file = ? AND photo = ? ORDER BY rowid", at)
        sql = "SELECT reason, detail, id, category FROM faults WHERE file = ? AND photo = ? ORDER BY rowid LIMIT ?"
        faults = self._db.execute(sql, (*at, MOST_THINGS))
        mistakes = tuple(Mistake(reason, detail, one, name, category) for reason, detail, one, category in faults)
        stated = self._db.execute("SELECT exhaustive FROM stated WHERE file = ?", (file,)).fetchone()
        if stated and photo.exhaustive is None:
            photo = replace(photo, exhaustive=bool(stated[0]))
        return FileLabels(file, photo, things, tuple(text for (text,) in captions), mistakes)

    def category(self, file: int, name: str) -> str | None:
        """Return the name of a category id; the id itself in a file that names no ids; None if nobody knows."""
        row = self._db.execute("SELECT name FROM categories WHERE file = ? AND id = ?", (file, name)).fetchone()
        if row:
            return None if row[0] is None else str(row[0])  # None: the id stands for several names
        some = self._db.execute("SELECT 1 FROM categories WHERE file = ? LIMIT 1", (file,)).fetchone()
        return None if some else name

    def loose_mistakes(self, file: int) -> Iterator[Mistake]:
        """Yield the mistakes of a file that concern no photo of the lake: all of a rare kind, many are counted."""
        told: Counter[str] = Counter()
        for one in self._loose(file):
            told[one.reason] += 1
            if told[one.reason] <= MOST_TOLD:
                yield one
        for reason, count in told.items():
            if count > MOST_TOLD:
                yield Mistake(reason, f"and {count - MOST_TOLD} more")

    def _loose(self, file: int) -> Iterator[Mistake]:
        sql = """SELECT reason, detail, id FROM faults AS f WHERE file = ? AND (f.photo IS NULL OR NOT EXISTS (
                 SELECT 1 FROM photos WHERE photos.file = f.file AND photos.id = f.photo)) ORDER BY rowid"""
        yield from (Mistake(*row) for row in self._db.execute(sql, (file,)))
        sql = """SELECT id, photo FROM things AS t WHERE file = ? AND NOT EXISTS (
                 SELECT 1 FROM photos WHERE photos.file = t.file AND photos.id = t.photo) ORDER BY place"""
        for name, photo in self._db.execute(sql, (file,)):
            yield Mistake("unknown_photo", f"the file has no photo with the id {photo[:40]!r}", name)


def _as_written(found: list[tuple[str, str | None]], name: str) -> list[tuple[str, str | None]]:
    """Return those of photos by uri whose name is spelled exactly so, or all if none is: accents have two spellings."""
    file = name.rsplit("/", 1)[-1]
    exact = [(uri, image) for uri, image in found if file in (last := uri.rsplit("/", 1)[-1], without_suffix(last))]
    return exact or found


def _unmatched(why: str, photo: LabelledPhoto) -> str:
    """Return why a photo of a file is none of the lake. Its name is not told: it may be erased, now or later."""
    if why == "ambiguous_photo":
        return "several photos go by its name"
    by = "has its sha256" if photo.sha256 else "goes by its name" if photo.name else ""
    return f"no photo {by}" if by else "the file says no name of it"


def _photo(entry: str) -> LabelledPhoto:
    fields = json.loads(entry)
    size = fields["size"]
    lists = {name: tuple(fields[name]) for name in ("doubtful", "absent")}
    return LabelledPhoto(**{**fields, **lists, "size": tuple(size) if size else None})


def _thing(entry: str) -> LabelledThing:
    return LabelledThing(**json.loads(entry))
