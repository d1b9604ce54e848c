"""The page of a report shows what its Markdown says."""

from html import unescape

import pytest

from bothways.training.report.held_out import MarkdownSection
from bothways.training.report.html import render_report
from bothways.training.report.markdown import code_block, plain, table

HOSTILE = '</td><script>alert("|")</script> \\| `a` \\\\ *b* $x$'


def _page(*sections: MarkdownSection, title: str = "t", introduction: str = "") -> str:
    return render_report(title, introduction, sections, {})


@pytest.mark.parametrize("text", [HOSTILE, "\\", "a\\|", "| b |", "`", "_x_ [y](z)", "日本"])
def test_a_text_is_the_same_in_the_page_and_in_markdown(text: str) -> None:
    rows = [[plain(text), "1"], ["other", "2"]]
    page = _page(MarkdownSection("s", f"{plain(text)}\n\n{table(['text', 'n'], rows)}"))
    assert f"<p>{text}</p>" in unescape(page)
    assert f'<bdi>{text}</bdi></th><td class="number"><bdi>1</bdi>' in unescape(page)
    assert "<script" not in page


def test_code_keeps_its_lines_and_its_fences() -> None:
    code = "x = 1\n\n| not | a table |\n```\ny"
    page = _page(MarkdownSection("s", f"Before.\n\n{code_block('python', code)}\n\nAfter."))
    assert f"<code>{code}</code>" in unescape(page)
    assert "<p>Before.</p>" in page
    assert "<p>After.</p>" in page
    assert "<table>" not in page


def test_the_title_and_the_introduction_are_plain_texts() -> None:
    page = _page(title=f"classify: {plain('<b>')}", introduction="Needs `pip install x`.")
    assert "<h1>classify: &lt;b&gt;</h1>" in page
    assert "<p>Needs pip install x.</p>" in page
