"""TensorFlow 1, simple_save: the same graph; tag, name of the signature and method name are chosen for you.

Python 3.7, TensorFlow 1.15.5: python simple_save.py FOLDER
"""

import sys

import tensorflow as tf

x = tf.placeholder(tf.float32, [None], "x")
two = tf.get_variable("two", initializer=2.0)
y = tf.add(x, two, "y")

with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    tf.saved_model.simple_save(session, sys.argv[1], inputs={"x": x}, outputs={"y": y})
