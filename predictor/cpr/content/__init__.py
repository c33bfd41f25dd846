"""What the files of a bundle hold, read without loading any: pickles by opcode, HDF5 by its marks, credentials in text.

``opcodes`` reads a pickle one by one, ``machine`` and ``pickles`` find what it names and calls, ``files`` finds the pickles of
a folder, ``unpacking`` opens those that are compressed, ``catalogue`` is the data they are judged by.
"""
