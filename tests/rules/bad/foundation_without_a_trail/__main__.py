"""A foundation that makes no audit trail and names none."""

import pulumi


class Environment(pulumi.ComponentResource):
    """Somebody's own foundation, of our type."""

    def __init__(self, name: str) -> None:
        super().__init__("narrowgate:index:Environment", name, {})
        self.register_outputs({})


Environment("demo-foundation")
