"""`qist notifier`: borrowers are told what events ask for, as a process of its own."""

from __future__ import annotations

from adapters.cli.running import settings_with_services


def notifier() -> int:
    """Follow servicing.notifications: decide channel, tone, language and hour of each notice, write it and send it.

    E-mail goes out by QIST_SMTP_URL, the other channels by QIST_NOTICE_WEBHOOKS, and what has no provider into
    QIST_NOTICES_FILE, where that is set. What providers say of delivery comes back on gateway.notice-outcomes, or by
    POST /api/v1/webhooks/NAME. Every notice, sent or not, is in the table `notices` with its reason: `qist notices
    list LOAN`. Several notifiers share the work; any may be killed at any moment.
    """
    from adapters.roles.notifier import run_notifier
    from adapters.roles.run import run_role

    return run_role("notifier", run_notifier, settings_with_services(broker=True))
