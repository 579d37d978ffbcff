"""Data-parallel training: one worker group on Ray for two frameworks.

loop.py        what happens in which order; written once, knows no framework and no Ray
evaluate.py    validation, golden vectors, and whether outputs fit the targets
clock.py       seconds and speed
adapter.py     what a framework must offer to be trained by the loop
tensorflow.py  tf.distribute
torch.py       DistributedDataParallel
worker.py      the Ray actor that runs the loop on one rank
group.py       the actors of one framework
cluster.py     Ray itself
resources.py   who gets which share of the machine
session.py     several frameworks side by side, results into the run directory
"""
