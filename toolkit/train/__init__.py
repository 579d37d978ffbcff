"""Data-parallel training: one worker group on Ray for two frameworks.

What is trained, without Ray and without a framework:
  loop.py         what happens in which order     steps.py    ranges of steps that one call trains
  batches.py      the samples of some steps       memory.py   rows, best weights, ledger
  evaluate.py     validation, golden vectors      cadence.py  how much at a time, when to save
  control.py      asked to leave, seen to live    settings.py, reports.py, state.py, clock.py
  rounds.py       samples that players bring      origin.py   what a run came of
  adapter.py      what a framework must offer to be trained by the loop

The frameworks, without Ray:
  tensorflow*.py  tf.distribute                   torch*.py   DistributedDataParallel

Keeping it going:
  policy.py       what to do about failures; pure
  supervisor.py   attempts, from the newest checkpoint, with the workers there is room for
  checkpoints.py, checkpoint_files.py, storage.py  states on disk and in object stores

Ray:
  worker.py       the actor that runs the loop    group.py    the actors of one framework
  pulses.py       their heartbeats                failures.py Ray's exceptions, as causes
  cluster.py      Ray itself                      resources.py who gets which share

The stage:
  training.py     a new run, or one that goes on  session.py  frameworks side by side
  record.py       what is left in the run         events.py   TensorBoard
  prove.py        one worker against several
"""
