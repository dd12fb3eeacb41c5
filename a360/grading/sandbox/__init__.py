"""Runs untrusted Python programs in fresh processes that the kernel confines, and says how each one ended.

judge -> supervisor (a process per program) -> checker and candidate, each behind ``lockdown``. Only documents
and judge import anything beside the standard library: the others are loaded into the processes they confine.
"""
