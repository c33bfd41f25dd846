import sys

sys.exit('usage: predictor.py MODEL')
