"""Text of a broken character map is told from text that only looks odd."""

import pytest

from bookbrain.formats.page_text import is_garbled

PROSE = "The kernel schedules threads. 비동기 처리를 하려면 콜백을 쓴다. "


@pytest.mark.parametrize("noise", ["\ufffd", "\ue123", "\x07", "\uffff", "\x9c"])
def test_a_tenth_of_noise(noise: str) -> None:
    letters = "a" * 90
    assert is_garbled(letters + noise * 11)
    assert not is_garbled(letters + noise * 8)
    assert not is_garbled("abc" + noise * 4), "four odd characters are an accident"


def test_rare_syllables() -> None:
    """쥔쥥쥘 is what kotex-doc.pdf has for "TeX"."""
    assert is_garbled(PROSE * 5 + "쥔쥥쥘쥩쥫쥬쥭쥓쥕")
    assert not is_garbled(PROSE * 50 + "뷁 쌰 쥥 쥩 쥫")


@pytest.mark.parametrize(
    "text",
    [
        PROSE * 20,
        "distri\x02bution and docu\x02mentation " * 4,
        "a\ufffeb c\ufffed e\ufffef g\ufffeh i\ufffej k\ufffel",
        "日本語の技術書 中文技术书籍",
        "👩‍💻 🇰🇷 👍🏽 🎉 🎉 🎉 🎉",
        "Z͑ͫ̓algo עברית العربية",
        "∀x∈ℝ: ⌈x⌉ ≥ ∑ ∫ √ ≈ → ⇒ ■ □ ●",
        "\t\n \n\t" * 30,
        "\uf8f1\uf8f4\uf8f2\uf8f3 x = \uf731\uf739\uf739\uf736 \uf761\uf762\uf763",
    ],
)
def test_what_is_only_unusual(text: str) -> None:
    assert not is_garbled(text)
