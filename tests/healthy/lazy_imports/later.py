def halve(value):
    return float(value / 2)
