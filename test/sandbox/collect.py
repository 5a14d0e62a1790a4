"""Collects the cases of a part: each is a function under @case("the expected fact")."""


class Cases(list):
    def __call__(self, name):
        def add(function):
            self.append((name, function))
            return function

        return add
