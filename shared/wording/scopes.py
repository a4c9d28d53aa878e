"""What common delegated permissions of Microsoft Graph allow, in plain words.

Source: "Microsoft Graph permissions reference", shortened. Pages show any other scope as it is.
"""

from collections.abc import Mapping

_WORDS: Mapping[str, str] = {
    "bookings.read.all": "read your bookings",
    "calendars.read": "read your calendars",
    "calendars.read.shared": "read calendars that you can open",
    "calendars.readbasic": "see when you are busy",
    "calendars.readwrite": "read and change your calendars",
    "calendars.readwrite.shared": "read and change calendars that you can open",
    "channelmessage.read.all": "read messages in your Teams channels",
    "channelmessage.send": "post in Teams channels as you",
    "chat.read": "read your chats",
    "chat.readwrite": "read and write your chats",
    "contacts.read": "read your contacts",
    "contacts.readwrite": "read and change your contacts",
    "directory.read.all": "read your organisation's directory",
    "email": "see your mail address",
    "files.read": "read your files",
    "files.read.all": "read all files that you can open",
    "files.readwrite": "read and change your files",
    "files.readwrite.all": "read and change all files that you can open",
    "group.read.all": "read all groups",
    "mail.read": "read your mail",
    "mail.read.shared": "read mail that you can open",
    "mail.readbasic": "see who wrote to you and when, not what",
    "mail.readwrite": "read and change your mail",
    "mail.send": "send mail as you",
    "mailboxsettings.read": "read your mailbox settings",
    "mailboxsettings.readwrite": "read and change your mailbox settings",
    "notes.read": "read your notebooks",
    "notes.readwrite": "read and change your notebooks",
    "onlinemeetings.read": "read your online meetings",
    "onlinemeetings.readwrite": "read and set up your online meetings",
    "people.read": "see who you work with",
    "presence.read": "see whether you are available",
    "presence.readwrite": "see and set whether you are available",
    "sites.read.all": "read SharePoint sites that you can open",
    "sites.readwrite.all": "read and change SharePoint sites that you can open",
    "tasks.read": "read your to-do lists",
    "tasks.readwrite": "read and change your to-do lists",
    "team.readbasic.all": "see which teams you are in",
    "user.read": "read your profile",
    "user.read.all": "read everybody's profile",
    "user.readbasic.all": "read everybody's name and mail address",
    "user.readwrite": "read and change your profile",
}


def scope_in_words(scope: str) -> str:
    """What a scope allows, as words after "it may"; the scope itself when it isn't in the list."""
    return _WORDS.get(scope.removeprefix("https://graph.microsoft.com/").lower(), scope)
