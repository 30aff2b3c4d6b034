"""The policy pack: from Pulumi resources to facts, judged by `narrowgate.rules` while the engine registers them.

This package translates and reports; it must hold no rule of its own.
"""
