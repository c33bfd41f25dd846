"""Make a SavedModel smaller without retraining: transformations of its protobuf and its checkpoint, one a module.

A :class:`~cpr.shrinking.model.Model` flows through them: ``read_model`` → ``pruned`` → ``restored_as`` → ``write_model``. What
comes out runs on any stock server: weights stay variables, and what they are dequantised with are TensorFlow's own operations.
"""
