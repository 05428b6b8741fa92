from __future__ import annotations

from hopchain_etl.engines.base import DetectJob, Photo
from hopchain_etl.engines.words import WordsDetector
from hopchain_etl.settings import WordsSettings
from hopchain_etl.stages.detect import categories
from hopchain_etl.stages.runner import Accepted


def words(*nouns: str) -> WordsDetector:
    return WordsDetector(WordsSettings(categories=nouns))


def test_the_same_words_for_every_photo_and_no_rating() -> None:
    jobs = [DetectJob(Photo(name * 64, name * 64, 9, 9, bytes)) for name in "ab"]
    replies = list(words("cup", "traffic light").detect(jobs))
    assert [reply.job for reply in replies] == jobs
    for reply in replies:
        assert reply.content
        taken = categories({"image_id": reply.job.photo.image_id}, reply.content)
        assert isinstance(taken, Accepted)
        assert [(row["category"], row["quality"], row["found"]) for row in taken.rows] == [
            ("cup", None, None),
            ("traffic light", None, None),
        ]


def test_another_list_is_another_fingerprint() -> None:
    assert words("cup").identity == words("cup", "cup").identity
    assert words("cup").identity != words("cup", "bowl").identity
    assert not words("cup").identity.cached
