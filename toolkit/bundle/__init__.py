"""Bundles: one signed file with everything that a device needs to predict.

build.py    the parts of a bundle -> its bytes, the same bytes for the same parts
keys.py     keys to sign with: make, list, rotate, revoke

What a bundle looks like is defined in edge/bundle_format.py and edge/bundle_manifest.py.
"""
