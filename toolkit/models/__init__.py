"""A model as a value: where it comes from, what it takes, and what it answers.

source.py    the value: file contents, recipe or function, and its framework
keras.py, torch.py   load it in a process of that framework; structure.py names what it gives
adoption.py, adopt.py, samples.py   a run for a model that was trained elsewhere
describe.py  names, shapes and dtypes of inputs and outputs
predict.py   its answers, whatever it is
"""
