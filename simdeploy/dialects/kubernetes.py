def recognises(source):
    return False


def read(reading):
    raise NotImplementedError
