"""The report: one HTML file about a run, which needs nothing from elsewhere.

stage.py        what is known about the run, and the file made of it
facts.py        the values that the page is made of
trained.py      how training went: curves, times
answers.py      what an exported file says on the golden vectors, in a process of its own
confusion.py    answers before and after export compared
commands.py     the commands that make the run again
page.py         the whole page; parts.py and proofs.py have its sections
flow.py         the way from data to device
curves.py, scatter.py   drawings, made with plot.py
markup.py       elements of HTML and SVG, everything in them escaped
"""
