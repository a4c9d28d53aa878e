"""The pages that people see at the sample tenant. Plain HTML with forms and buttons, and one script.

A program posts the hidden fields back with one more field:

    choose a person      POST <form action>  flow, username
    consent              POST <form action>  flow, answer=accept | cancel
    need admin approval  POST <form action>  flow, answer=cancel
    device code          POST /device        user_code
"""

import base64
import hashlib
from collections.abc import Iterable
from html import escape

from starlette.responses import HTMLResponse

from localdev.tenant.people import Person, organisation

_STYLE = """
:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;max-width:28rem;margin:10vh auto;padding:0 1rem}
main{border:1px solid #8888;border-radius:.5rem;padding:1.5rem}
h1{font-size:1.4rem;margin:0 0 .5rem}
button,input{font:inherit;padding:.6rem .8rem;border-radius:.4rem;border:1px solid #767676}
button,input{width:100%;box-sizing:border-box}
button{cursor:pointer;text-align:start;margin:.25rem 0}
button span,small{display:block;opacity:.85;font-size:.875rem}
button:focus-visible,input:focus-visible{outline:3px solid #2a6fdb;outline-offset:2px}
"""
_SUBMIT = "document.forms[0].submit()"


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


# No form-action: browsers apply it to redirects after a form too, and the app's callback is such a redirect.
# The referrer policy is the strictest that leaves a form post its Origin header.
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SUBMIT)}; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "strict-origin",
    "X-Content-Type-Options": "nosniff",
}


def page(title: str, body: str, status: int = 200) -> HTMLResponse:
    """A whole page; `body` is HTML."""
    html = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} - Sample tenant</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return HTMLResponse(html, status, _HEADERS)


def choose_person(people: Iterable[Person], *, action: str, flow: str, app_name: str, hint: str = "") -> HTMLResponse:
    """One button per person, and a field for a username."""
    known = sorted(people, key=lambda person: person.username.lower() != hint.lower())
    buttons = "".join(_person(person) for person in known)
    body = (
        f"<p>to continue to {escape(app_name)}</p>{_form(action, flow, buttons)}<hr>"
        + _form(
            action,
            flow,
            f'<label for="username">Or by username</label>'
            f'<input id="username" name="username" autocomplete="username" required value="{escape(hint)}">'
            "<button>Next</button>",
        )
        + "<small>A sample: nobody here has to prove anything.</small>"
    )
    return page("Sign in", body)


def consent(person: Person, words: Iterable[str], *, action: str, flow: str, app_name: str) -> HTMLResponse:
    """The permissions that the app asks for, and two buttons."""
    wishes = "".join(f"<li>{escape(each)}</li>" for each in dict.fromkeys(words))
    buttons = '<button name="answer" value="accept">Accept</button><button name="answer" value="cancel">Cancel</button>'
    body = f"<p>{escape(person.username)}</p><p>{escape(app_name)} would like to:</p><ul>{wishes}</ul>"
    return page("Permissions requested", body + _form(action, flow, buttons))


def need_administrator(problem: str, *, action: str, flow: str, app_name: str) -> HTMLResponse:
    """The tenant wants an administrator to consent: nothing to do here but to go back."""
    button = '<button name="answer" value="cancel">Return to the application without granting consent</button>'
    body = f'<p>{escape(app_name)}</p><p role="alert">{escape(problem)}</p>'
    return page("Need admin approval", body + _form(action, flow, button))


def enter_code(user_code: str = "", notice: str = "") -> HTMLResponse:
    """A field for the code that a device shows."""
    field = (
        f'<label for="user_code">Code</label><input id="user_code" name="user_code" required autocomplete="off" '
        f'value="{escape(user_code)}"><button>Next</button>'
    )
    said = f'<p role="alert">{escape(notice)}</p>' if notice else ""
    return page("Enter code", said + f'<form method="post" action="/device">{field}</form>', 400 if notice else 200)


def problem(text: str, status: int = 400) -> HTMLResponse:
    """An error that can't be returned by a redirect."""
    return page("We could not sign you in", f'<p role="alert">{escape(text)}</p>', status)


def post_back(uri: str, values: dict[str, str]) -> HTMLResponse:
    """response_mode=form_post: the form posts itself, or by its button where scripts are off."""
    fields = "".join(_hidden(name, value) for name, value in values.items())
    form = f'<form method="post" action="{escape(uri)}">{fields}<button>Continue</button></form>'
    return page("Signing in", form + f"<script>{_SUBMIT}</script>")


def _person(person: Person) -> str:
    where = organisation(person.home).name
    return (
        f'<button name="username" value="{escape(person.username)}">{escape(person.name)}'
        f"<span>{escape(person.username)}, {escape(where)}</span></button>"
    )


def _form(action: str, flow: str, inner: str) -> str:
    return f'<form method="post" action="{escape(action)}">{_hidden("flow", flow)}{inner}</form>'


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
