"""Keras 3, Model.export: only what serving needs; the model itself would go into a .keras file, by Model.save.

TensorFlow 2.21.0, Keras 3.15.1: python keras3.py FOLDER
"""

import sys

import keras


class AddTwo(keras.layers.Layer):
    def build(self, shape):
        self.two = self.add_weight(name="two", shape=(), initializer=keras.initializers.Constant(2.0))

    def call(self, x):
        return x + self.two


x = keras.Input(shape=(), name="x")
model = keras.Model(x, {"y": AddTwo(name="y")(x)})
model.export(sys.argv[1])
