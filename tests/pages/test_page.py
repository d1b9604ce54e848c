"""Pages: one file, escaped texts, declared data, and a policy that names the only script."""

import base64
import dataclasses
import gzip
import hashlib
import json
import re
from html import unescape
from pathlib import Path

import pytest

from bothways.pages import Page, iframe, render
from bothways.pages.elements import paragraph, table

HOSTILE = '</script><img src=x onerror="alert(1)"><!-- \u202e\u2028 & "quoted" \ud800'


def _page(tmp_path: Path) -> Page:
    script = tmp_path / "show.js"
    script.write_text('export function show() {\n  return "shown";\n}\nshow();\n')
    return Page(
        title=HOSTILE,
        body=[paragraph(HOSTILE), table(("name", "n"), [(HOSTILE, "1")])],
        scripts=(script,),
        data={"texts": {"text": HOSTILE}},
        binary={"numbers": bytes(range(256))},
    )


def _elements(html: str, tag: str) -> list[tuple[str, str]]:
    return re.findall(f"<{tag}([^>]*)>(.*?)</{tag}>", html, re.DOTALL)


def test_data_comes_back_as_it_was(tmp_path: Path) -> None:
    scripts = dict(_elements(render(_page(tmp_path)), "script"))
    assert json.loads(scripts[' type="application/json" id="data-texts"']) == {"text": HOSTILE}
    packed = scripts[' type="application/gzip;base64" id="data-numbers"']
    assert gzip.decompress(base64.b64decode(packed)) == bytes(range(256))


def test_hostile_texts_are_no_markup(tmp_path: Path) -> None:
    html = render(_page(tmp_path))
    html.encode()  # no lone surrogate
    assert "<img" not in html
    assert "<!--" not in html
    assert "\u202e" not in html
    assert len(_elements(html, "script")) == 3


def test_the_policy_names_the_only_script_and_style(tmp_path: Path) -> None:
    html = render(_page(tmp_path))
    ((_, style),) = _elements(html, "style")
    script = _elements(html, "script")[-1][1]
    (policy,) = re.findall('Content-Security-Policy" content="([^"]*)"', html)
    for name, text in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "connect-src" not in policy


def test_a_page_without_scripts_allows_none() -> None:
    html = render(Page(title="t", body=[]))
    assert "<script" not in html
    assert "script-src" not in html


def test_numbers_that_json_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        render(Page(title="t", body=[], data={"numbers": [float("nan")]}))


def test_a_notebook_gets_the_same_page_in_an_isolated_frame(tmp_path: Path) -> None:
    page = _page(tmp_path)
    frame = iframe(page, height=400)
    (document,) = re.findall('srcdoc="([^"]*)"', frame)
    assert unescape(document) == render(page)
    assert 'sandbox="allow-scripts allow-downloads"' in frame
    assert "allow-same-origin" not in frame


def test_a_page_of_a_server_may_ask_only_that_server(tmp_path: Path) -> None:
    page = dataclasses.replace(_page(tmp_path), connect="'self'")
    assert "connect-src 'self'" in page.policy
    assert page.policy in render(page)
