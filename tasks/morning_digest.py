"""Mails each person what is unread and what is on today, at 7:00 in their time zone."""

from datetime import datetime, time, timedelta
from typing import Any

from shared.background import TaskContext, daily, task

_MOST = 50  # messages that are counted; 10 of them are named
_UNREAD = {"$filter": "isRead eq false", "$select": "subject", "$top": str(_MOST)}


@task(
    title="Morning digest",
    purpose="Mails you what is unread and what is on today, on weekdays at 7:00.",
    scopes={
        "Mail.Read": "to see what is unread",
        "Calendars.Read": "to see what is on today",
        "Mail.Send": "to mail it to you",
    },
    schedule=daily("07:00", days="mon-fri"),
    settings=("DIGEST_FOOTER",),
)
def morning_digest(ctx: TaskContext) -> None:
    """Sends at most one digest per person and local date."""
    unread = [each["subject"] for each in ctx.graph.get("/me/messages", _UNREAD)["value"]]
    start = datetime.combine(ctx.today, time(), tzinfo=ctx.zone)
    view = {
        "startDateTime": start.isoformat(),
        "endDateTime": (start + timedelta(days=1)).isoformat(),
        "$select": "subject",
    }
    today = [each["subject"] for each in ctx.graph.pages("/me/calendarView", view)]
    ctx.graph.post("/me/sendMail", _mail(ctx, unread, today), once="mail")
    ctx.record(f"Mailed you a digest: {len(unread)} unread, {len(today)} on today")


def _mail(ctx: TaskContext, unread: list[str], today: list[str]) -> dict[str, Any]:
    more = "more than " if len(unread) == _MOST else ""
    lines = [f"{more}{len(unread)} unread:", *unread[:10], "", f"{len(today)} on today:", *today]
    if footer := ctx.settings["DIGEST_FOOTER"]:
        lines += ["", footer]
    return {
        "message": {
            "subject": f"Your digest of {ctx.today:%d.%m.%Y}",
            "body": {"contentType": "text", "content": "\n".join(lines)},
            "toRecipients": [{"emailAddress": {"address": ctx.account.username}}],
        },
        "saveToSentItems": False,
    }
