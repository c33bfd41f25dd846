"""What is wrong with a SavedModel's folder, found without loading it: one module for each family of findings.

============== =============================================================
``place``      CPR601, 602: there is no SavedModel, or at another level
``weights``    CPR604 to 607, 613 to 615: the checkpoint and its index
``graph``      CPR603, 608 to 610, 612: saved_model.pb and what it names
``operations`` CPR621 to 625: what TensorFlow must have to run it
``leftovers``  CPR631 to 634: bytes that serving never reads
``serving``    CPR641 to 644: what a request runs
``signature``  CPR651 to 655: what a request can carry
``extras``     CPR661: fingerprint and warm-up requests
============== =============================================================

``served`` says which graphs of a model they look at, ``words`` spells names and shapes.

Each takes values and yields findings whose places are relative to the model's folder. ``cpr.saved_model.kinds`` has the words.
"""
