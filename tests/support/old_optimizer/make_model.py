"""The SavedModel beside this file: Keras 2, compiled with an optimizer of the old kind, saved whole as everybody did.

TensorFlow 2.16 and newer cannot restore its Python objects ('_UserObject' object has no attribute 'add_slot'). Written by
TensorFlow 2.15.1: ``python make_model.py``. It answers 2 * (a + b + c) + 1 twice.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

kernel, bias = tf.keras.initializers.Constant(2.0), tf.keras.initializers.Constant(1.0)
dense = tf.keras.layers.Dense(2, kernel_initializer=kernel, bias_initializer=bias, input_shape=(3,), name="twice")
model = tf.keras.Sequential([dense])
model.compile(tf.keras.optimizers.legacy.Adam(0.0), "mse")  # a rate of zero: the slots are made, the weights stay
model.fit(np.ones((4, 3), np.float32), np.ones((4, 2), np.float32), verbose=0)
model.save(str(Path(__file__).parent / "saved_model"), save_format="tf")
