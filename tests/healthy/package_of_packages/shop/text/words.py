def tokens(text):
    return text.lower().split()
