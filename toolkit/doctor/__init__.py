"""Whether this machine can train, export and serve: checks with the fix for each.

Reading order:
  facts.py     what is known of a machine, as plain values
  gather.py    the facts of this machine, in well under a second and without a framework
  finding.py   what a check gives
  versions.py  version numbers and requirements
  packages.py, machine.py, places.py, network.py   the checks: pure functions of facts
  deep.py      imports each framework in a child process
  examine.py   all checks in order
"""
