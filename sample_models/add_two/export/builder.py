"""TensorFlow 1, SavedModelBuilder: every part of the SavedModel is spelt out.

Python 3.7, TensorFlow 1.15.5: python builder.py FOLDER
"""

import sys

import tensorflow as tf

x = tf.placeholder(tf.float32, [None], "x")
two = tf.get_variable("two", initializer=2.0)
y = tf.add(x, two, "y")

signature = tf.saved_model.signature_def_utils.build_signature_def(
    inputs={"x": tf.saved_model.utils.build_tensor_info(x)},
    outputs={"y": tf.saved_model.utils.build_tensor_info(y)},
    method_name=tf.saved_model.signature_constants.PREDICT_METHOD_NAME,
)
builder = tf.saved_model.builder.SavedModelBuilder(sys.argv[1])
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    builder.add_meta_graph_and_variables(session, [tf.saved_model.tag_constants.SERVING], {"predict": signature})
builder.save()
