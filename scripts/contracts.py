"""Our own kind of import-linter contract. The contracts themselves stand in pyproject.toml."""

from __future__ import annotations

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OnlyStandardLibrary(Contract):
    """Modules that import nothing from outside but the standard library.

    root: the package; allowed: pairs "module -> outside package" that are excepted.
    """

    root = fields.StringField()
    allowed = fields.SetField(subfield=fields.StringField(), required=False, default=set())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Broken by any import of a package that is neither ours nor Python's."""
        root = str(self.root)
        ours = {root, *graph.find_descendants(root)}
        links = {
            f"{module} -> {outside}"
            for module in ours
            for outside in graph.find_modules_directly_imported_by(module) - ours
            if graph.is_module_squashed(outside) and outside not in sys.stdlib_module_names
        }
        bad = sorted(links - set(self.allowed))  # type: ignore[call-overload]
        return ContractCheck(kept=not bad, metadata={"links": bad})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each import."""
        for link in check.metadata["links"]:
            output.print_error(f"- {link}", bold=False)
        output.new_line()
