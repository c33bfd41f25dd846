"""Making servable SavedModels of what is not one yet: a module a kind of source, one that edits, one that checks.

::

    source --recognised--> its module writes a SavedModel --edited--> names, tags, method names --checked--> the result

TensorFlow is needed, and imported on use (``cpr.exporting._tensorflow``).
"""
