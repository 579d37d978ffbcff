"""A recipe for the user's own data: looks at the data, decides, and writes readable code.

Reading order:
  wish.py        what the user says, and what kind of data that is
  table.py       a CSV file: separator, columns, what is missing, where it is wrong
  tabular.py, pictures.py, arrays.py, texts.py   one kind of data each: survey -> Draft
  choices.py     batch, epochs and widths that fit a number of samples; the held-out samples
  code.py        Python literals and templates; templates/ has the text of recipes
  draft.py       what a survey gives

Nothing here trains, and no framework is loaded.
"""
