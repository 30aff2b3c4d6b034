"""The access lock: the reviewed, committed statement of all access that an environment's deploy may grant."""

from narrowgate.access.lock.read import read_lock
from narrowgate.access.lock.values import AccessLock, LockError, lock_file, lock_of
from narrowgate.access.lock.write import write_lock

__all__ = ["AccessLock", "LockError", "lock_file", "lock_of", "read_lock", "write_lock"]
