"""The text part of an HTML mail, where its HTML isn't what one would write."""

import pytest

from journeys.plain_text import plain_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a<style>b<i>c</i></style>d", "ad"),
        ("a<script><p>b</p></script>c", "ac"),
        ("a<template><p>b</p><br></template>c", "ac"),
        ("<head><title>t</title><meta charset=x></head>a", "a"),
        ("a<script/>b", "ab"),
        ("a<br/>b", "a\nb"),
        ("a</a>b</ul>c</pre>d", "ab\nc\nd"),
        ("<pre>a\n  b</pre>", "a\nb"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ("<a href='https://a.example'>x</a>", "x (https://a.example)"),
        ("<a href='#top'>x</a>", "x"),
        ("<a href='https://a.example'><img src=x></a>", "https://a.example"),
    ],
)
def test_html_becomes_what_a_reader_sees(html: str, text: str) -> None:
    assert plain_text(html).strip() == text
