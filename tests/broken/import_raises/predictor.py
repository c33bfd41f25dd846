raise RuntimeError('no licence')
