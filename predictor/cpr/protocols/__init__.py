"""Translators between the bytes on the wire and what a routine takes and gives: pure functions, no server, no model.

``rows`` is the protocol of AI Platform Prediction, of TensorFlow Serving in its row form, and of KServe v1: they are the same.
``columns`` adds TensorFlow Serving's other form. ``vertex`` differs from it in where a request keeps its other arguments.
"""
