"""A text as words, for what it mentions: e-mail addresses, numbers, amounts and all else between spaces and signs."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

# Each alternative starts only where no earlier start has read the same characters: any text is read in linear time.
MAIL = r"(?<![\w.%+'-])(?P<mail>[\w.%+'-]++@[\w-]++(?:\.[\w-]++)*+)"
# Most words end with the first alternative; what ends like a currency is looked at again.
OTHER = (
    r"(?P<word>[^\W0-9]++)(?!\w)(?<![Uu][Ss][Dd])(?<![Ee][Uu][Rr])(?<![Gg][Bb][Pp])"
    r"|(?:(?P<mark>[$€£]|\b(?i:usd|eur|gbp))\s?-?|(?<!\w)(?<![0-9][.,]))"
    r"(?P<number>[0-9]++(?:[.,][0-9]++)*+)(?(mark)|(?!(?!(?i:usd|eur|gbp|cents?|dollars?|euros?)\b)\w))"
    r"|(?P<mixed>\w++)"
)
TOKEN, PLAIN = re.compile(f"{MAIL}|{OTHER}"), re.compile(OTHER)
NUMBER = re.compile(r"([0-9]{1,3}(?:[.,][0-9]{3})+|[0-9]+)(?:[.,]([0-9]{1,2}))?")
MONEY = re.compile(
    r"[\s-]?(?:(?P<cents>cents?\b|¢)|dollars?\b(?:,? (?:and )?(?P<rest>[0-9]{1,2}) cents?\b)?"
    r"|(?:usd|eur|euros?|gbp)\b|[$€£](?!\s?[0-9]))",
    re.IGNORECASE,
)
UNIT = re.compile(
    r"(?:\s?(?:[-\u2013]|to)\s?[0-9][0-9.,]*)?[\s-]?(?:[%°]|/\s?(?:5|10)\b|a\.m\b|p\.m\b|"
    r"(?:percent|per cent|stars?|points?|out of|am|pm|h|hrs?|hours?|min|minutes?|days?|weeks?|months?|years?"
    r"|kg|g|mg|lbs?|oz|mm|cm|m|km|inch|inches|ft|feet|ml|l|litres?|liters?|[kmgt]b|hz|[kmg]hz|v|w|kw)\b)",
    re.IGNORECASE,
)
PRICED = re.compile(
    r"\b(?:prices?|costs?|totals?|refunds?|refunded|pays?|paid|payments?|charged?|balance|difference|worth|amounts?"
    r"|comes? to|came to|is|was|are|be|for|of)\W{0,3}$",
    re.IGNORECASE,
)
"""What stands before a price that bears no currency."""
DIGIT, DIGITS = re.compile(r"[0-9]"), re.compile(r"[0-9]+")
NO_PRICE = 10**30
"""What "47.84 cents" come to."""
COMPOSED = 10_000
"""The longest text whose accents are composed: the time that takes can grow with the square of the length."""


def tokens_of(text: str) -> list[re.Match[str]]:
    """The e-mail addresses (`mail`), numbers with a currency (`number`), words without and with a digit in a text."""
    return list((TOKEN if "@" in text else PLAIN).finditer(text))


def word_of(token: re.Match[str]) -> str:
    """The token's word; quotation marks and stops are no part of an e-mail address."""
    return token.group().strip("'.-") if token.lastgroup == "mail" else token.group()


def composed(text: str) -> str:
    """Accents in one form, as far as that costs nothing to speak of."""
    return text if text.isascii() or len(text) > COMPOSED else unicodedata.normalize("NFC", text)


def words_of(text: str) -> list[str]:
    """The words of a text."""
    return [word_of(token) for token in tokens_of(composed(text))]


def key_of(tokens: Iterable[re.Match[str]]) -> str:
    """The words of some tokens, in small letters, as they stand among the words of what was shown."""
    return f" {' '.join([word_of(token).casefold() for token in tokens])} "


def _priced(message: str, token: re.Match[str], decimals: str) -> bool:
    """Whether a number without a currency is a price all the same: two decimals after a word of money."""
    if len(decimals) < 2 or UNIT.match(message, token.end()):
        return False
    return PRICED.search(message[max(0, token.start() - 24) : token.start()]) is not None


def amount_at(message: str, token: re.Match[str]) -> tuple[int, int] | None:
    """The cents of a number that is an amount, and where it ends."""
    parts = NUMBER.fullmatch(token["number"])
    if parts is None:
        return None
    whole, decimals = re.sub("[.,]", "", parts[1]).lstrip("0")[:20] or "0", parts[2] or ""
    money = MONEY.match(message, token.end())
    if money is None and not token["mark"] and not _priced(message, token, decimals):
        return None
    end = money.end() if money else token.end()
    if money and money["cents"] and not token["mark"]:
        return (int(whole) if decimals in ("", "00") else NO_PRICE), end
    rest = int(money["rest"]) if money and money["rest"] else 0
    return 100 * int(whole) + int(f"{decimals}00"[:2]) + rest, end


@functools.lru_cache(maxsize=4096)
def content_of(text: str) -> tuple[str, tuple[int, ...]]:
    """The words of a text, in small letters between spaces, and the amounts it names, in cents."""
    text = composed(text)
    tokens = tokens_of(text)
    amounts = [found for token in tokens if token.lastgroup == "number" and (found := amount_at(text, token))]
    return key_of(tokens), tuple([cents for cents, _ in amounts])
