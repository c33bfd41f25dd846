from base import Base


class Doubled(Base):
    factor = 2

    def one(self, value):
        return value + 1
