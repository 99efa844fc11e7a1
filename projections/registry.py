"""Every read model of the house, in the order in which their rows are written."""

from __future__ import annotations

from projections.base import Projection
from projections.collections import Collections
from projections.dashboard import Dashboard
from projections.delinquency import Delinquency
from projections.history import History
from projections.ledger import Ledger
from projections.loan_view import LoanView
from projections.reconciliation import Reconciliation

ALL: tuple[type[Projection], ...] = (Ledger, Delinquency, History, Dashboard, Collections, LoanView, Reconciliation)
BY_NAME = {projection.name: projection for projection in ALL}
