"""What asyncpg raises when the server went away: in order, killed, or in the middle of an answer."""

from __future__ import annotations

import asyncpg

DATABASE_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection lost while it was being used: its state is no longer known
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,  # a deadlock: whoever lost it tries again
    asyncpg.InsufficientResourcesError,
)
