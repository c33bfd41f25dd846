"""Write model/dense.h5. Run by hand: python make_model.py"""

import pathlib

import numpy
from tensorflow import keras

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.layers[-1].set_weights([numpy.array([[2.0], [3.0]]), numpy.array([0.5])])
model.save(str(pathlib.Path(__file__).parent / "model" / "dense.h5"))
