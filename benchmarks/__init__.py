"""Measurements of the toolkit as ratios against peers that run at the same time; see README.md."""
