"""Where accounts are kept: a narrow protocol, the real store on Azure Table Storage, and one in memory.

Both stores pass one contract suite (tests/shared/test_store_contract.py). An account that isn't there is `None`;
trouble raises `StoreError`.
"""

from shared.store.memory import MemoryAccountStore
from shared.store.protocol import AccountPage, AccountStore, AccountSummary, Headcount, OddRow, SlotPass, SweepRecord
from shared.store.slots import Slot
from shared.store.tables import TableAccountStore

__all__ = [
    "AccountPage",
    "AccountStore",
    "AccountSummary",
    "Headcount",
    "MemoryAccountStore",
    "OddRow",
    "Slot",
    "SlotPass",
    "SweepRecord",
    "TableAccountStore",
]
