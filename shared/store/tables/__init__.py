"""Accounts in Azure Table Storage: the only calls of the Tables SDK are in this folder.

store          the store, as the rest of the app sees it
rows           an account as a row, and back
batches        many rows in as few transactions as fit, and what became of each
hints          the table Slots
due            the table Due: lists of those who are due
slot_pass      one pass over them
listing        lists and counts
markers        the table Markers: effects that must not happen twice
first_edition  rows with keys of the first edition
service        the four tables, and the SDK's errors as ours
wire/          the service's bodies, written and read here
"""

from shared.store.tables.store import TableAccountStore

__all__ = ["TableAccountStore"]
