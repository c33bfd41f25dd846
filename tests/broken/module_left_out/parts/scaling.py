def scaled(value):
    return 2 * value
