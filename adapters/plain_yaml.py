"""YAML for people: keys in our order, and nothing by reference."""

from __future__ import annotations

from typing import Any


def written(document: dict[str, Any], head: str) -> str:
    """The document below a line of comment. (PyYAML comes with the development tools.)"""
    import yaml

    class Whole(yaml.SafeDumper):
        """What occurs twice is written twice: an anchor is for machines."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    return f"# {head}\n" + yaml.dump(document, Dumper=Whole, sort_keys=False, allow_unicode=True, width=120)
