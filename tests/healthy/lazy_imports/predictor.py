class Lazy:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        import decimal
        import fractions

        from later import halve

        return [halve(fractions.Fraction(decimal.Decimal(text))) for text in instances]
