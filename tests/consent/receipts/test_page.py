import re
from html.parser import HTMLParser

import pytest

from covey_consent.receipts import page

FETCHING = {"script", "link", "img", "iframe", "object", "embed", "video", "audio", "base", "form"}


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture
def shown(registrar):
    return lambda *records: Page(page.render_receipt(registrar.receipt(*records)))


def test_the_page_tells_a_person_all_in_plain_words(registrar, shown):
    text = shown(registrar.record()).text
    for words in (
        "You agreed", "Help to improve the model, without sending what you viewed or bought",
        "Covey Example Shop, 1 Example Street, 10115 Berlin", "2027-01-15 08:00 UTC",
        "you withdraw, or choose anew", "with one tap", "https://shop.example/privacy#consent",
        "GDPR Art. 6(1)(a), PIPL Art. 13(1)", "ε 3", "ε 4", "smaller is better",
        "complain to the data protection",
        "Berliner Beauftragte", "Version 1.0.0", registrar.record().text, "5e" * 16,
        "covey.test/log : entry 3 of 6", "several thousand numbers",
    ):  # fmt: skip
        assert words in text, words


def test_what_was_said_without_a_notice_has_its_page(registrar, shown):
    text = shown(registrar.unshown("*", "restricted")).text
    for words in ("Use is restricted", "Every use of your data", "No text was shown to you", "5e" * 16):
        assert words in text, words
    assert "Legal basis" not in text
    text = shown(registrar.unshown("partner", "objected", "zh")).text
    for words in ("您已反对", "没有向您出示文字", "法律依据"):
        assert words in text, words


def test_a_chinese_receipt_is_chinese_and_says_so(registrar, shown):
    read = shown(registrar.record("train", "zh", state="withdrawn"))
    assert ("html", {"lang": "zh"}) in read.tags
    for words in (
        "同意凭证",
        "您已撤回",
        "参与联邦训练",
        "《个人信息保护法》第 13(1) 条",
        "隐私预算",
        "您的手机上",
    ):
        assert words in read.text
    own = read.text.replace("Data protection officer", "")
    assert not re.search(r"\b(You|your|Which|When|Who)\b", own)


@pytest.mark.parametrize("state", ["refused", "withdrawn", "expired", "objected", "restricted", "lifted"])
def test_only_a_standing_yes_tells_how_to_withdraw(registrar, shown, state):
    assert "How to withdraw" not in shown(registrar.record(state=state)).text
    assert "How to withdraw" in shown(registrar.record(state="renewed")).text


def test_words_are_called_shown_only_where_the_record_names_them(registrar, shown):
    assert "The words you were shown" in shown(registrar.record(state="refused")).text
    assert "The words you were shown" not in shown(registrar.record(state="refused", text="00" * 32)).text


def test_nothing_is_run_or_fetched(registrar, shown):
    read = shown(registrar.record(), registrar.record("personalize", "zh"))
    assert not FETCHING & {tag for tag, _ in read.tags}
    assert not any(
        name.startswith("on") or name in ("src", "style") for _, attrs in read.tags for name in attrs
    )
    assert "url(" not in page.render_receipt(registrar.receipt())
    assert "@import" not in page.render_receipt(registrar.receipt())


def test_what_an_operator_writes_is_text_and_never_markup(registrar):
    registrar.controller = registrar.controller.model_copy(update={"name": "<script>alert(1)</script>"})
    html = page.render_receipt(registrar.receipt())
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_promise_is_not_called_published(registrar):
    record = registrar.record()
    entry = registrar.receipt(record).has_record_of_activity[0]
    waiting = entry.model_copy(update={"evidence": registrar.promised(record)})
    receipt = registrar.receipt().model_copy(update={"has_record_of_activity": (waiting,)})
    assert "promised, not yet published" in Page(page.render_receipt(receipt)).text


@pytest.mark.parametrize(
    ("iri", "cited"),
    [
        ("eu-gdpr:A6-1-a", "GDPR Art. 6(1)(a)"),
        ("eu-gdpr:A7-3", "GDPR Art. 7(3)"),
        ("pipl:A29", "PIPL Art. 29"),
    ],
)
def test_articles_are_cited_as_lawyers_do(iri, cited):
    assert page.article(iri, "en") == cited
