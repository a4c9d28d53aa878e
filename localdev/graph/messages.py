"""A person's mail over HTTP. Microsoft's pages "List messages", "Get message", "message: reply", "user: sendMail"."""

from typing import Any

from starlette.responses import JSONResponse, Response

from localdev.graph.endpoint import Call
from localdev.graph.errors import bad_request, not_found
from localdev.graph.mailbox import FOLDERS, Mailbox
from localdev.graph.odata import page, select

_RECIPIENTS = ("toRecipients", "ccRecipients", "bccRecipients")
_WRITABLE = ("subject", "body", "importance", "replyTo", *_RECIPIENTS)


def list_messages(call: Call) -> Response:
    """GET /me/messages: every folder, newest first; pages of 10."""
    return _list(call, "")


def list_folder(call: Call) -> Response:
    """GET /me/mailFolders/{folder}/messages: inbox or sentitems."""
    folder = call.segment("folder").lower()
    if folder not in FOLDERS:
        raise not_found()
    return _list(call, folder)


def get_message(call: Call) -> Response:
    """GET /me/messages/{id}."""
    body = {"@odata.context": f"{call.root}/$metadata#users('me')/messages/$entity"}
    return JSONResponse(body | select(_shown(call, _message(call)), call.query("$select")))


def send_mail(call: Call) -> Response:
    """POST /me/sendMail: 202 without a body. `saveToSentItems` is true by default."""
    given = call.json()
    message = given.get("message", given.get("Message"))
    if not isinstance(message, dict):
        raise bad_request("The message is missing.", "ErrorInvalidRequest")
    return _send(call, message, save=given.get("saveToSentItems", given.get("SaveToSentItems", True)) is not False)


def reply(call: Call) -> Response:
    """POST /me/messages/{id}/reply: 202. `comment` or `message.body`, not both; the reply goes to the sender."""
    given, original = call.json(), _message(call)
    changes = given.get("message") or {}
    if not isinstance(changes, dict) or ("comment" in given and "body" in changes):
        raise bad_request("Specify either a comment or the body of the message, not both.", "ErrorInvalidRequest")
    quoted = f"{given.get('comment', '')}<hr>{original['body']['content']}"
    subject = str(original["subject"])
    answer = {
        "subject": subject if subject.lower().startswith("re:") else f"RE: {subject}",
        "body": {"contentType": "html", "content": quoted},
        "toRecipients": original["replyTo"] or [original["from"]],
    }
    return _send(call, answer | changes, save=True)


def _send(call: Call, message: dict[str, Any], *, save: bool) -> Response:
    addresses = [_address(each) for kind in _RECIPIENTS for each in message.get(kind) or []]
    if not addresses or not all("@" in each for each in addresses):
        raise bad_request("At least one recipient is not valid.", "ErrorInvalidRecipients")
    sent = _mailbox(call).send({name: message[name] for name in _WRITABLE if name in message}, save=save)
    for each in dict.fromkeys(addresses):
        person = call.tenancy.people.find(each)
        if person:
            call.tenancy.data.mailbox(person).receive(sent)
    call.tenancy.journal.count("mails_sent", call.person.username)
    return Response(status_code=202)


def _address(recipient: Any) -> str:
    try:
        return str(recipient["emailAddress"]["address"])
    except (KeyError, TypeError):
        return ""


def _list(call: Call, folder: str) -> Response:
    found = [_shown(call, each) for each in _mailbox(call).messages(folder)]
    return page(call, found, context="users('me')/messages")


def _mailbox(call: Call) -> Mailbox:
    return call.tenancy.data.mailbox(call.person)


def _message(call: Call) -> dict[str, Any]:
    found = _mailbox(call).find(call.segment("message"))
    if found is None:
        raise not_found()
    return found


def _shown(call: Call, message: dict[str, Any]) -> dict[str, Any]:
    """Mail.ReadBasic shows no bodies: Microsoft's page "Microsoft Graph permissions reference"."""
    if call.scopes & {"Mail.Read", "Mail.ReadWrite"}:
        return message
    return {name: value for name, value in message.items() if name not in ("body", "bodyPreview")}
