"""The language host: how the Pulumi engine runs Python programs and policy packs here.

Pulumi's own Python host comes only with its binary releases; the engine that the rehearsal builds has none. This one
speaks the same protocol (`pulumirpc.LanguageRuntime`). It must not know what a program deploys.
"""
