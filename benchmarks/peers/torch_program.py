"""Peer: a .pt2 file through torch, as people run it on a device: MODEL NUMBER."""

import sys

import torch

torch.set_num_threads(1)
program = torch.export.load(sys.argv[1]).module()
print(float(program(torch.full((1, 1), float(sys.argv[2]))).ravel()[0]))
