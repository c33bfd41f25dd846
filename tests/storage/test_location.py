"""What a user may write as a place, and what is said about the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpr.errors import CprError, StorageError
from cpr.storage import Location, is_uri, open_storage

PART = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/?#\x7f"), min_size=1, max_size=20).filter(
    lambda part: part not in (".", "..")
)
BUCKET = st.from_regex(r"[a-z0-9]([a-z0-9_-]{1,61})[a-z0-9]", fullmatch=True).filter(lambda name: not name.startswith("goog"))


@settings(deadline=None)
@given(st.sampled_from(["gs", "s3"]), BUCKET, st.lists(PART, max_size=4))
def test_bucket_uris_mean_what_they_say(scheme: str, bucket: str, parts: list[str]) -> None:
    path = "/".join(parts)
    text = f"{scheme}://{bucket}" + (f"/{path}" if parts else "")
    location = Location.parse(text)
    assert (location.scheme, location.bucket, location.path) == (scheme, bucket, path)
    assert str(location) == text
    assert Location.parse(text + "/") == location
    assert is_uri(text)


@settings(deadline=None)
@given(st.lists(PART, min_size=1, max_size=4))
def test_file_uris_are_not_percent_decoded(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    assert Location.parse(f"file://{path}") == Location("file", "", path)
    assert Location.parse(f"file://localhost{path}").path == path
    assert Location.parse(path) == Location("", "", str(Path(path).resolve()))


@settings(deadline=None)
@given(st.text(max_size=40) | st.builds("{}:{}".format, st.sampled_from(["gs", "s3", "file", "https"]), st.text(max_size=40)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        location = Location.parse(text)
    except StorageError as error:
        assert error.message and error.remedy
    else:
        assert ".." not in location.path.split("/")
        assert bool(location.bucket) == (location.scheme in ("gs", "s3"))


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("", "names no place", "gs://bucket/prefix"),
        ("gs://", "names no bucket", "gs://BUCKET/PREFIX"),
        ("gs:///routines", "names no bucket", "gs://BUCKET/PREFIX"),
        ("gs:/bucket/routines", "two slashes", "gs://bucket/routines"),
        ("gs:bucket", "two slashes", "gs://bucket"),
        ("file:/srv/models", "two slashes", "file:///srv/models"),
        ("gcs://bucket/a", "not a known scheme", "gs://bucket/a"),
        ("g3://bucket/a", "not a known scheme", "Did you mean"),
        ("s3a://bucket/a", "not a known scheme", "s3://bucket/a"),
        ("s4://bucket", "not a known scheme", "s3://bucket"),
        ("files:///srv", "not a known scheme", "file:///srv"),
        ("ftp://host/a", "not a known scheme", "gs://, s3://, file://"),
        ("https://storage.googleapis.com/bucket/a", "not a scheme to publish to", "gs://bucket/a"),
        ("https://bucket.s3.eu-west-1.amazonaws.com/a/b", "not a scheme to publish to", "s3://bucket/a/b"),
        ("gs://My-Bucket/a", "bucket's name", "gs://my-bucket/a"),
        ("gs://ab", "bucket's name", "existing bucket"),
        ("gs://-abc", "bucket's name", "existing bucket"),
        ("gs://10.0.0.1/a", "IP address", "existing bucket"),
        ("gs://a..bc", "two dots", "existing bucket"),
        ("gs://goog-models", "reserved", "existing bucket"),
        ("gs://" + "a" * 64, "too long", "existing bucket"),
        ("s3://" + "a.b" * 22, "too long", "existing bucket"),
        ("gs://bucket/a/../b", "'..'", "without it"),
        ("gs://bucket//a", "empty part", "gs://bucket/a"),
        ("gs://bucket/a?generation=1", "query", r"from \? on"),
        ("gs://bucket/a#12345", "generation", "from # on"),
        ("gs://bucket/a\nb", "control character", "gs://bucket/prefix"),
        ("file://server/share", "another machine", "file:///"),
        ("file://relative", "not an absolute path", "file:///relative"),
        ("file:///srv/../etc", "'..'", "without it"),
    ],
)
def test_refusals_say_what_was_meant(text: str, message: str, remedy: str) -> None:
    with pytest.raises(StorageError, match=message) as caught:
        Location.parse(text)
    assert remedy.replace("\\", "") in caught.value.remedy


@pytest.mark.parametrize("text", ["gs://bucket.with.dots." + "a" * 60 + "." + "b" * 60, "GS://bucket/a", "s3://a_b-c.d/e"])
def test_unusual_but_right(text: str) -> None:
    assert Location.parse(text).bucket


@pytest.mark.parametrize("text", ["models", "./gs:models", "../models", "C:/models", "/srv/a?b#c%20", "."])
def test_folders(text: str) -> None:
    location = Location.parse(text)
    assert (location.scheme, location.path) == ("", str(Path(text).resolve()))


@pytest.mark.parametrize(
    ("uri", "endpoint", "message"),
    [
        ("folder", "http://127.0.0.1:1", "gs:// and s3:// alone"),
        ("s3://bucket", "storage.googleapis.com", "not a URL"),
        ("s3://bucket", "https://user:secret@host", "not a URL"),
    ],
)
def test_endpoints(uri: str, endpoint: str, message: str) -> None:
    with pytest.raises(CprError, match=message):
        open_storage(uri, endpoint=endpoint)
