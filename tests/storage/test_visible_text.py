"""Text from input data never acts on what shows it."""

from __future__ import annotations

import json

import pytest
from night_pages import line_of

from storage.pages.nights.calendar import render_year
from storage.visible_text import visible, visible_json, visible_lines, visible_name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\u001b[2Jb"),
        ("\u202e0.1", r"\u202e0.1"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("a\nb\x00\x9b", r"a\u000ab\u0000\u009b"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("10 °C, naïve, 温度, می\u200cخواهم", "10 °C, naïve, 温度, می\u200cخواهم"),
    ],
)
def test_characters_that_act_unseen_are_shown_by_their_code(text, shown):
    assert visible(text) == shown


def test_a_message_keeps_its_lines():
    assert visible_lines("one\ntwo\x1b") == "one\ntwo\\u001b"


def test_json_is_escaped_and_keeps_its_value():
    content = {"name": "\u202e\x9b\x7f\U000e0041 °C"}
    text = visible_json(content)

    assert json.loads(text) == content
    assert text == r'{"name": "\u202e\u009b\u007f\udb40\udc41 °C"}'


def test_a_long_name_is_cut_and_says_how_long_it_is():
    assert visible_name("a" * 500_000) == f"{'a' * 200}… (500,000 characters)"


def test_pages_show_what_would_turn_the_reading_direction():
    night = line_of("2026-11-22", verdict="\u202eKO", model_id="m\x1b")
    page = render_year("j\x1b", [night], years=[2026], earlier=[]).decode()

    assert r"\u202eKO" in page
    assert "\u202e" not in page
    assert "\x1b" not in page
