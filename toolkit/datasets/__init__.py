"""Public data sets: what there is, how it is fetched, where it lies, and how it is read.

Nothing here needs a framework; recipes read what `toolkit data fetch` stored.
"""
