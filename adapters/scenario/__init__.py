"""A loan's life told in a file, and lived on the pure domain: no broker, no database, the same decisions.

`read` makes a `Scenario` of JSON, `live` lives it, `answer` says where it led. docs/scenarios.md is the manual.
"""

from adapters.scenario.answer import answer
from adapters.scenario.expectations import differences
from adapters.scenario.file import Malformed, Scenario, read
from adapters.scenario.life import Life, Sent, live

__all__ = ["Life", "Malformed", "Scenario", "Sent", "answer", "differences", "live", "read"]
