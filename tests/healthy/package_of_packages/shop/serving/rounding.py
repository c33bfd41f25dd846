def cents(value):
    return round(value, 2)
