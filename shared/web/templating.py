"""Loads the templates. All are escaped, an undefined name is an error, and the filters turn values into words."""

import functools
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared.wording.outcomes import OUTCOME_WORDS
from shared.wording.scopes import scope_in_words
from shared.wording.times import in_words, interval, relative, spelled

_TEMPLATES = Path(__file__).parent / "templates"
_PROJECT = Path(__file__).parents[2]


@functools.cache
def templates() -> Environment:
    """Templates by name: shared ones as `layout.html`, a blueprint's as `signin/home.html`. Read once per process."""
    environment = Environment(
        loader=FileSystemLoader([_TEMPLATES, _PROJECT]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "in_words": in_words,
        "interval": interval,
        "outcome_words": OUTCOME_WORDS.__getitem__,
        "relative": relative,
        "scope_in_words": scope_in_words,
        "spelled": spelled,
        "with_capital": lambda text: text[:1].upper() + text[1:],
    }
    return environment


def initials_of(name: str) -> str:
    """At most two letters of a name; "?" when it has none."""
    words = [word for word in name.partition("@")[0].replace(".", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in [*words[:1], *words[1:][-1:]]).upper() or "?"
