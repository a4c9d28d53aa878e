"""The pages for what can go wrong in a browser: what happened, what to do, and the button that helps most.

Keyed by the error's code (see errors.RequestRefused), by kind where many codes mean the same to a person.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.errors import RequestRefused, SignInFailed

_HOME = "To the first page"


@dataclass(frozen=True, slots=True)
class Advice:
    """What a page about a problem says.

    Attributes:
        steps: what to do, in order.
        button, path: the one thing to press, and where it leads.
    """

    title: str
    happened: str
    steps: tuple[str, ...] = field(default=())
    button: str = _HOME
    path: str = "/"


_DECLINED = Advice(
    "You did not agree",
    "You declined what this app asked to do for you. Nothing was stored, and nothing is done in your name.",
    ("If that is what you want, there is nothing more to do.", "If you change your mind, sign in and agree."),
    "Sign in and agree",
    "/signin?prompt=consent",
)
_NEEDS_ADMINISTRATOR = Advice(
    "An administrator must agree first",
    "Your organisation lets only its administrators decide about the permissions that this app asks for.",
    (
        "Ask your administrator to grant this app consent for your organisation, and quote the reference below.",
        "Sign in when they have done it.",
    ),
)
_FOREIGN_TENANT = Advice(
    "Your organisation can't use this app",
    "You signed in with an account of an organisation that is not among those that may use this app.",
    (
        "If you have an account in another organisation, sign in with that one.",
        "Otherwise ask whoever runs this app to admit your organisation.",
    ),
    "Use another account",
    "/signin?prompt=select_account",
)
_NO_FLOW = Advice(
    "This sign-in can't be finished here",
    "It began in another browser, more than ten minutes ago, or in one that keeps no cookies.",
    (
        "Start again, and finish within ten minutes in the same browser.",
        "If it happens again, allow cookies for this site.",
    ),
    "Start again",
    "/signin",
)
_EXPIRED = Advice(
    "This sign-in has expired",
    "Too much time passed before it came back to us, or its link was used once already.",
    ("Start again. You don't have to hurry: ten minutes are allowed.",),
    "Start again",
    "/signin",
)
_UNREACHABLE = Advice(
    "The sign-in service can't be reached",
    "Your organisation's sign-in service does not answer at present. Nothing is wrong with your account.",
    ("Wait a minute, then try again.", "Background work goes on by itself as soon as the service is back."),
    "Try again",
    "/signin",
)
_AGAIN = "Sign in again"
_NOT_SIGNED_IN = Advice(
    "Sign in to see this page",
    "You are not signed in, or you have been away for so long that you were signed out here.",
    (),
    "Sign in",
    "/signin",
)
_NOT_OPERATOR = Advice(
    "This page is for operators",
    "Your account does not have the role that it takes to see everybody's state.",
    ("If you should have it, ask your administrator to assign it to you.", "Then sign in again: roles come with it."),
    "To your own page",
)

_BY_CODE: Mapping[str, Advice] = {
    "65004": _DECLINED,
    "access_denied": _DECLINED,
    "90094": _NEEDS_ADMINISTRATOR,
    "tenant_not_allowed": _FOREIGN_TENANT,
    "50020": _FOREIGN_TENANT,
    "unknown_flow": _NO_FLOW,
    "mismatch": _NO_FLOW,
    "empty_answer": _NO_FLOW,
    "70008": _EXPIRED,
    "54005": _EXPIRED,
    "identity_provider": _UNREACHABLE,
    "not_signed_in": _NOT_SIGNED_IN,
    "not_an_operator": _NOT_OPERATOR,
}


def advice_for(problem: RequestRefused) -> Advice:
    """What the page says."""
    if isinstance(problem, SignInFailed) and problem.status == 503:
        return _UNREACHABLE
    known = _BY_CODE.get(problem.code)
    if known:
        return known
    if problem.status == 401:
        return Advice(problem.title, problem.detail, (), _AGAIN, "/signin")
    if isinstance(problem, SignInFailed):
        return Advice(problem.title, problem.detail, (), "Start again", "/signin")
    return Advice(problem.title, problem.detail)


def known_codes() -> frozenset[str]:
    """Every code that has a page of its own."""
    return frozenset(_BY_CODE)
