"""Looks at what was built: instruction sets, kernel symbols, size budgets."""
