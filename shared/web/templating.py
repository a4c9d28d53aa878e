"""The templates' surroundings: autoescape for every one of them, nothing undefined passes, and the words they use."""

import functools
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared.accounts import Outcome
from shared.wording.outcomes import OUTCOME_WORDS, OutcomeWords
from shared.wording.scopes import scope_in_words
from shared.wording.times import in_words, interval, relative, spelled

_FOLDER = Path(__file__).parent / "templates"


@functools.cache
def templates() -> Environment:
    """shared/web/templates, read once a process."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "in_words": in_words,
        "interval": interval,
        "outcome_words": _words_of,
        "relative": relative,
        "scope_in_words": scope_in_words,
        "spelled": spelled,
        "with_capital": _with_capital,
    }
    return environment


def initials_of(name: str) -> str:
    """At most two letters for somebody without a photo; "?" for somebody without a name."""
    words = [word for word in name.partition("@")[0].replace(".", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in [*words[:1], *words[1:][-1:]]).upper() or "?"


def _words_of(outcome: Outcome) -> OutcomeWords:
    return OUTCOME_WORDS[outcome]


def _with_capital(text: str) -> str:
    return text[:1].upper() + text[1:]
