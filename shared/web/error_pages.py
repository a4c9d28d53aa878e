"""The words of error pages: what happened, what to do, and the button that helps most."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.error_codes import explain
from shared.errors import RequestRefused, SignInFailed

_HOME = "Go to the first page"


@dataclass(frozen=True, slots=True)
class Advice:
    """The words of one page.

    Attributes:
        steps: what to do, in order.
        button, path: the label of the page's one button, and where it leads.
        fields: hidden fields. With any, the button is a form's and posts them to `path`.
    """

    title: str
    happened: str
    steps: tuple[str, ...] = field(default=())
    button: str = _HOME
    path: str = "/"
    fields: Mapping[str, str] = field(default_factory=dict)


_DECLINED = Advice(
    "You did not agree",
    "You declined what this app asked to do for you. Nothing was stored, and nothing is done in your name.",
    ("If that is what you want, there is nothing more to do.", "If you change your mind, sign in and agree."),
    "Sign in and agree",
    "/signin?prompt=consent",
)
_NEEDS_ADMINISTRATOR = Advice(
    "An administrator must agree first",
    "In your organisation only an administrator can grant the permissions that this app asks for.",
    (
        "Ask your administrator to grant this app consent for your organisation, and quote the reference below.",
        "Sign in once they have done so.",
    ),
)
_FOREIGN_TENANT = Advice(
    "Your organisation can't use this app",
    "You signed in with an account of an organisation that may not use this app.",
    (
        "If you have an account in another organisation, sign in with that one.",
        "Otherwise ask whoever runs this app to let your organisation use it.",
    ),
    "Use another account",
    "/signin?prompt=select_account",
)
_NO_FLOW = Advice(
    "This sign-in can't be finished here",
    "It was used already, it began in another browser or more than ten minutes ago, or there are no cookies here.",
    (
        "Start again, and finish within ten minutes in the same browser.",
        "If it happens again, allow cookies for this site.",
    ),
    "Start again",
    "/signin",
)
_NOTHING_LASTING = Advice(
    "This app got no lasting permission",
    "You signed in, but without the permission to work for you while you are away. Nothing was stored.",
    (
        "If you were asked about access while you are away, and said no, sign in again and agree.",
        "If you were not asked, this app is not set up well. We are sorry: tell whoever runs it.",
    ),
    "Sign in and agree",
    "/signin?prompt=consent",
)
_EXPIRED = Advice(
    "This sign-in has expired",
    "It took too long, or its link was used already.",
    ("Start again. You have ten minutes.",),
    "Start again",
    "/signin",
)
_UNREACHABLE = Advice(
    "The sign-in service can't be reached",
    "Your organisation's sign-in service isn't answering. Nothing is wrong with your account.",
    ("Wait a minute, then try again.", "Background work goes on by itself as soon as the service is back."),
    "Try again",
    "/signin",
)
_NOT_SIGNED_IN = Advice(
    "Sign in to see this page",
    "You are not signed in, or you were signed out because you were away for too long.",
    (),
    "Sign in",
    "/signin",
)
_NOT_OPERATOR = Advice(
    "This page is for operators",
    "Your account doesn't have the role that lets you see other people's accounts.",
    (
        "If you need it, ask your administrator to assign it to you.",
        "Then sign in again: the app reads your roles when you sign in.",
    ),
    "Go to your own page",
)
_NO_OPERATOR_TENANTS = Advice(
    "Operators' pages are closed",
    "People of many organisations sign in to this app. Its settings don't say whose operators may see and remove them.",
    (
        "If you run this app, put your tenant's ID into its setting OPERATOR_TENANTS.",
        "Sign-ins and background work go on meanwhile.",
    ),
    "Go to your own page",
)
_SIGN_OUT_EXPIRED = Advice(
    "This can't be tried again from here",
    "The page that you used is too old. It did nothing.",
    ("Sign in, and sign out again.",),
    "Sign in",
    "/signin",
)

PAGES: Mapping[str, Advice] = {
    # by `page` of shared/error_codes.py
    "declined": _DECLINED,
    "needs_administrator": _NEEDS_ADMINISTRATOR,
    "foreign_tenant": _FOREIGN_TENANT,
    "expired": _EXPIRED,
    # by the code of a RequestRefused of our own
    "tenant_not_allowed": _FOREIGN_TENANT,
    "unknown_flow": _NO_FLOW,
    "mismatch": _NO_FLOW,
    "empty_answer": _NO_FLOW,
    "no_refresh_token": _NOTHING_LASTING,
    "identity_provider": _UNREACHABLE,
    "not_signed_in": _NOT_SIGNED_IN,
    "not_an_operator": _NOT_OPERATOR,
    "operator_tenants_missing": _NO_OPERATOR_TENANTS,
    "sign_out_expired": _SIGN_OUT_EXPIRED,
}


def sign_out_unfinished(sealed: str, *, keep: str) -> Advice:
    """The page for a sign-out that ended the session in this browser only, as the storage failed.

    Args:
        sealed: the session, for the form that tries again (`Sessions.keep_sign_out`).
        keep: the form's field `keep`; "" when the stored data was to be deleted.
    """
    if keep:
        happened = (
            "You are signed out in this browser. In other browsers you may still be signed in: ending that failed."
        )
        steps = ("Wait a minute, then try again.", "Otherwise those sessions end by themselves when they expire.")
    else:
        happened = (
            "You are signed out in this browser. Deleting your stored data failed: until it is deleted, the work in "
            "your name goes on. In other browsers you may still be signed in."
        )
        steps = ("Wait a minute, then try again.", "Later, sign in and sign out again.")
    fields = {"unfinished": sealed} | ({"keep": keep} if keep else {})
    return Advice("Your sign-out isn't finished", happened, steps, "Try again", "/signout", fields)


def advice_for(problem: RequestRefused) -> Advice:
    """The page for a refused request: that of its code, else a general one with the error's words."""
    if isinstance(problem, SignInFailed) and problem.status == 503:
        return _UNREACHABLE
    page = explain(problem.code).page or problem.code
    if page in PAGES:
        return PAGES[page]
    if problem.status == 401:
        return Advice(problem.title, problem.detail, (), "Sign in again", "/signin")
    if isinstance(problem, SignInFailed):
        return Advice(problem.title, problem.detail, (), "Start again", "/signin")
    return Advice(problem.title, problem.detail)
