"""Recipes that ship with the package; `toolkit train NAME` trains one."""
