"""Recipes that exist for measuring only."""
