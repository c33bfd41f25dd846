"""The input types that JSON can carry; apart from saved_models.py, so that collecting the tests imports no TensorFlow."""

DTYPES = [
    *("float16", "bfloat16", "float32", "float64", "bool", "string"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
]
